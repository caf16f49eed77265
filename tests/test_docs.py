"""Names in the documentation exist: links, files, packages, layers, settings, metrics, log events.

The calls of docs/frontend.md and README.md run in tests/journeys/test_frontend_page.py.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from typer.main import get_command

from app import cli
from app.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
ALERTS = "docs/alerts.yml"
# The changelog may name what is gone.
CURRENT = [page for page in PAGES if page != "CHANGELOG.md"] + [ALERTS]
ARCHITECTURE = "docs/architecture.md"
# The folders that a path in a text may begin with.
FOLDERS = "app|bench|devtools|docs|migrations|openapi|sandbox|tests"

_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_QUOTED = re.compile(r"`([^`\n]+)`")
# What Prometheus appends to the name of a metric of this type.
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
# A file of a library or a machine looks like the name of a log event.
_NO_EVENTS = {"root.crt"}


@cache
def read(page: str) -> str:
    return (ROOT / page).read_text()


def prose(page: str) -> str:
    """The page without its blocks of code."""
    return _BLOCK.sub("", read(page))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text()), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


def section(page: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level."""
    found: str = re.split(rf"^## {re.escape(heading)}$", read(page), maxsplit=1, flags=re.MULTILINE)[1]
    return re.split(r"^## ", found, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str) -> list[str]:
    """The content of the blocks of code in the text."""
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: str) -> None:
    for target in _LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_every_runbook_of_an_alert_exists() -> None:
    targets = re.findall(r"runbook: (\S+)$", read(ALERTS), re.MULTILINE)
    assert targets
    for page, _, anchor in (target.partition("#") for target in targets):
        assert anchor in anchors(ROOT / page), anchor


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    for name in _QUOTED.findall(read(page)):
        if re.fullmatch(rf"(?:{FOLDERS})/[\w./-]*", name):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", CURRENT)
def test_every_make_target_and_command_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    code = "\n".join([*blocks(read(page)), *_QUOTED.findall(prose(page))])
    assert set(re.findall(r"^make ([a-z]+)", code, re.MULTILINE)) <= targets
    commands = set(getattr(get_command(cli.assemble()), "commands", ()))
    assert set(re.findall(r"^portal ([a-z]+)", code, re.MULTILINE)) <= commands


@pytest.mark.parametrize("page", CURRENT)
def test_every_variable_that_a_page_names_is_a_setting(page: str) -> None:
    known = {f"PORTAL_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bPORTAL_[A-Z_]*[A-Z]\b", read(page))) <= known


@pytest.mark.parametrize("page", CURRENT)
def test_every_metric_that_a_page_names_exists(page: str) -> None:
    known = {
        f"{metric.name}{suffix}" for metric in REGISTRY.collect() for suffix in _SUFFIXES.get(metric.type, ())
    }
    assert len(known) > 20
    assert set(re.findall(r"\bportal_[a-z_]+", read(page))) <= known


@pytest.mark.parametrize(
    ("page", "pattern", "at_least"),
    [
        ("docs/operations.md", r"[a-z_]+\.[a-z_]+|[a-z_]+_unavailable", 10),
        ("docs/identity.md", r"[a-z]+_refused", 1),
    ],
)
def test_every_log_event_that_a_page_names_exists(page: str, pattern: str, at_least: int) -> None:
    named = {name for name in _QUOTED.findall(prose(page)) if re.fullmatch(pattern, name)} - _NO_EVENTS
    assert len(named) >= at_least
    assert named <= set(_log_events())


def _log_events() -> Iterator[str]:
    """The names of all log lines that the product writes."""
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and _writes_log(node.func):
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


def _writes_log(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(value=ast.Name(id="log" | "_log"), attr="info" | "warning" | "error"):
            return True
        # `write = log.error if … else log.info`
        case ast.Name(id="write"):
            return True
    return False


def test_the_layers_of_the_architecture_are_those_that_are_checked() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = {
        contract["containers"][0]: contract["layers"]
        for contract in contracts
        if contract["type"] == "layers"
    }
    drawn = [block.splitlines() for block in blocks(section(ARCHITECTURE, "Who may import whom"))]
    assert drawn == [layers["app"], layers["app.digital_river"]]


def test_the_map_names_every_package_of_the_product() -> None:
    named = set(re.findall(r"^\| `(app/[\w.]+/?)` \|", read(ARCHITECTURE), re.MULTILINE))
    assert named == {
        f"app/{path.name}/" if path.is_dir() else f"app/{path.name}"
        for path in (ROOT / "app").iterdir()
        # A package that moved leaves its compiled modules behind.
        if (path.suffix == ".py" and path.name != "__init__.py") or any(path.glob("*.py"))
    }


def test_every_module_on_the_way_of_a_flow_exists() -> None:
    folders = (ROOT / "app", ROOT / "app" / "digital_river")
    steps = [
        step
        for heading in ("How an event flows", "How a read flows", "How a call to Digital River flows")
        for block in blocks(section(ARCHITECTURE, heading))
        for step in re.findall(r"(?<![\w/])([a-z_]+(?:/[a-z_]+)+)(?=[\s.]|$)", block)
    ]
    assert len(steps) > 20
    for step in steps:
        assert any((folder / f"{step}.py").exists() for folder in folders), step
