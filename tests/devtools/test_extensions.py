"""Without PORTAL_DATABASE_URL a checkout starts its own database, and an installation asks for one."""

from collections.abc import Callable
from importlib.metadata import MetadataPathFinder
from pathlib import Path

import pytest

from devtools.embedded_postgres import embedded_postgres
from tests.support.portal import as_environment, settings_for
from tests.support.processes import Printed, Running


async def portal(place: Path, *arguments: str, first: Callable[[], None] | None = None) -> Printed:
    """Run `portal` without PORTAL_DATABASE_URL and with its data directory in `place`."""
    environment = {
        **as_environment(settings_for("", "http://127.0.0.1:1")),
        "PORTAL_DATA_DIR": str(place / "data"),
    }
    output, errors = place / "output", place / "errors"
    command = Running.start(arguments, environment, output=output, errors=errors, first=first)
    status = await command.wait()
    return Printed(status, output.read_text(), errors.read_text())


def forget_installed_packages() -> None:
    """For a forked process: as if no distribution with entry points were installed."""
    MetadataPathFinder.find_distributions = lambda *_: iter(())  # type: ignore[method-assign]


@pytest.mark.proof
async def test_a_checkout_keeps_its_data_in_an_embedded_server(place: Path) -> None:
    assert (await portal(place, "migrate")).status == 0
    assert (place / "data" / "postgres" / "data" / "PG_VERSION").exists()
    # The server of the next command finds the tables of the one before.
    listed = await portal(place, "events", "list")
    assert (listed.status, listed.errors) == (0, "")


@pytest.mark.proof
async def test_a_data_directory_in_use_is_named_in_one_line(place: Path) -> None:
    (place / "data").mkdir()
    with embedded_postgres(place / "data" / "postgres", durable=False):
        for command in ("migrate", "dev"):
            refused = await portal(place, command)
            (line,) = refused.errors.splitlines()[-1:]
            assert refused.status == 1
            assert line.startswith("another process uses the database in ")
            assert "Traceback" not in refused.errors


async def test_an_installation_without_the_development_tools_asks_for_a_database(place: Path) -> None:
    refused = await portal(place, "migrate", first=forget_installed_packages)
    assert (refused.status, refused.output) == (1, "")
    assert refused.errors == (
        "PORTAL_DATABASE_URL is missing, and no installed package brings a development database\n"
    )
