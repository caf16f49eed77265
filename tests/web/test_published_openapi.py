"""`openapi/portal.json` describes the whole API, in one style."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.web.api_model import ApiModel
from tests.support.declared_answers import Document
from tests.support.openapi import Json, contract_models, operations, schemas_in_answers
from tests.support.portal import published_document
from tests.web.test_api_model import check_examples

COMMITTED = Path(__file__).parents[2] / "openapi" / "portal.json"
DOCUMENT: Json = published_document()
OPERATIONS = operations(DOCUMENT)
MODELS = contract_models()
ANSWERED = schemas_in_answers(DOCUMENT)


def test_the_committed_document_is_current() -> None:
    assert json.loads(COMMITTED.read_text()) == DOCUMENT, "run `make openapi` and commit the result"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_named_explained_and_filed(name: str) -> None:
    operation = OPERATIONS[name]
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation["operationId"])
    assert re.fullmatch(r"[A-Z][^.]*[^. ]", operation["summary"]), "a summary is one phrase"
    assert len(operation.get("description", "")) > 20, "the endpoint has no docstring"
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", [name for name in OPERATIONS if re.match(r"\w+ /(v1|ops)/", name)])
def test_an_operation_declares_how_it_can_fail(name: str) -> None:
    method, path = name.split()
    operation = OPERATIONS[name]
    declared = set(operation["responses"])
    assert operation["security"] == [{"bearer": ["portal:ops"] if path.startswith("/ops/") else []}]
    assert {"401", "422", "500", "503"} <= declared
    assert ("429" in declared) is path.startswith("/v1/")
    if "{" in path:
        assert "404" in declared
    if method == "POST":
        assert {"409"} <= declared
        assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}
    if "412" in declared:
        assert "428" in declared


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_limited_route_declares_its_rate_limit_headers(name: str) -> None:
    for answer in OPERATIONS[name]["responses"].values():
        limit_headers = {"RateLimit", "RateLimit-Policy"} & set(answer["headers"])
        assert limit_headers == ({"RateLimit", "RateLimit-Policy"} if " /v1/" in name else set())
    if " /v1/" in name:
        assert "Retry-After" in OPERATIONS[name]["responses"]["429"]["headers"]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if " /v1/" in name])
def test_a_parameter_is_explained_or_shown(name: str) -> None:
    for parameter in OPERATIONS[name].get("parameters", ()):
        assert {"description", "example", "examples"} & {*parameter, *parameter["schema"]}, parameter["name"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_an_example_is_accepted_and_comes_back_unchanged(model: type[ApiModel]) -> None:
    check_examples(model, may_be_partial=model.__name__ not in ANSWERED)


def test_there_are_models_to_look_at() -> None:
    assert {"DocumentView", "EventView"} <= {model.__name__ for model in MODELS}


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_a_schema_has_a_name_of_its_own_and_no_unknown_parts(name: str) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+)+", name), "generated: give the model a name"
    for member, schema in DOCUMENT["components"]["schemas"][name].get("properties", {}).items():
        assert schema.get("items") != {}, member
        assert "default" not in schema, f"{member}: generated clients make it mandatory"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_with_a_token_can_be_forbidden(name: str) -> None:
    is_ours = OPERATIONS[name]["security"] not in ([], [{"signature": []}])
    assert ("403" in OPERATIONS[name]["responses"]) is is_ours


def test_a_page_always_says_whether_there_is_another() -> None:
    pages = {name: schema for name, schema in DOCUMENT["components"]["schemas"].items() if "Page" in name}
    assert len(pages) >= 8
    for page in pages.values():
        assert {"data", "nextCursor"} <= set(page["required"])
        assert {"type": "null"} in page["properties"]["nextCursor"]["anyOf"]


def test_a_pdf_is_not_described_as_text() -> None:
    opened = OPERATIONS["GET /v1/documents/{documentId}/content"]["responses"]["200"]["content"]
    assert opened["application/pdf"]["schema"] == {"contentMediaType": "application/pdf"}


def examples_in(part: Any, place: str = "") -> Iterator[tuple[str, Json, Any]]:
    """Every example of the document with its schema: of schemas, of parameters, and of bodies."""
    if not isinstance(part, dict | list):
        return
    steps = part.items() if isinstance(part, dict) else enumerate(part)
    for step, below in steps:
        if step not in {"examples", "example"}:
            yield from examples_in(below, f"{place}/{step}")
    if isinstance(part, dict):
        shown = part.get("examples", [])
        schema = part.get("schema", part)
        values = [one["value"] for one in shown.values()] if isinstance(shown, dict) else [*shown]
        values += [part["example"]] if "example" in part else []
        yield from ((place, schema, value) for value in values)


def test_every_example_is_what_its_schema_describes() -> None:
    document = Document(DOCUMENT)
    found = list(examples_in({**DOCUMENT, "tags": []}))
    assert len(found) > 400
    for place, schema, example in found:
        errors = [error.message for error in document.validator(schema).iter_errors(example)]
        assert not errors, f"{place}: {errors}"


def test_an_undeclared_answer_is_noticed() -> None:
    document = Document(DOCUMENT)
    status = {"status": "ok"}

    def complaint(status_code: int, media_type: str, body: object, path: str = "/health/live") -> str:
        return document.complaint("GET", path, status_code, media_type, json.dumps(body).encode()) or ""

    assert complaint(200, "application/json", status) == ""
    assert complaint(404, "application/problem+json", {}, path="/nothing/here") == ""
    assert "status is not declared" in complaint(418, "application/json", status)
    assert "media type is not declared" in complaint(200, "text/html", status)
    assert "at /status" in complaint(200, "application/json", {"status": "well"})
