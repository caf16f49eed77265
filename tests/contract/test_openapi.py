"""`openapi/portal.json` is the whole truth about the API, and reads like one document."""

import json
import re
from pathlib import Path

import pytest

from app.web.contract import Contract
from tests.contract.portal_api import Json, build, contract_models, operations, schemas_in_answers
from tests.web.test_contract import check_examples

COMMITTED = Path(__file__).parents[2] / "openapi" / "portal.json"
DOCUMENT: Json = build().openapi()
OPERATIONS = operations(DOCUMENT)
MODELS = contract_models()
ANSWERED = schemas_in_answers(DOCUMENT)


def test_the_committed_document_is_the_apps() -> None:
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
def test_what_is_limited_says_so_with_each_answer(name: str) -> None:
    for answer in OPERATIONS[name]["responses"].values():
        told = {"RateLimit", "RateLimit-Policy"} & set(answer["headers"])
        assert told == ({"RateLimit", "RateLimit-Policy"} if " /v1/" in name else set())
    if " /v1/" in name:
        assert "Retry-After" in OPERATIONS[name]["responses"]["429"]["headers"]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if " /v1/" in name])
def test_a_parameter_is_explained_or_shown(name: str) -> None:
    for parameter in OPERATIONS[name].get("parameters", ()):
        assert {"description", "example", "examples"} & {*parameter, *parameter["schema"]}, parameter["name"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_an_example_is_accepted_and_comes_back_unchanged(model: type[Contract]) -> None:
    check_examples(model, may_be_partial=model.__name__ not in ANSWERED)


def test_there_are_models_to_look_at() -> None:
    assert {"DocumentView", "EventView"} <= {model.__name__ for model in MODELS}
