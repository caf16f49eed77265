"""The facts and payloads are consistent, and agree with Digital River's documents if those are present."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_core import OpenAPI

from tests.data.derive import derived, rendered
from tests.data.digital_river import API, Json, api, errors, payloads

BESIDE = Path(__file__).parents[3] / "shared" / "digital-river"
needs_official = pytest.mark.skipif(
    not BESIDE.is_dir(),
    reason="Digital River's documents are not beside this repository (shared/digital-river)",
)
WHOLE = (
    *("customers", "events", "file-links", "files", "fulfillments", "order-tracking", "orders", "refunds"),
    *("sources", "tax-identifiers"),
)
# Only for the sources inside: nothing else in these payloads is read.
PARTLY = ("checkouts", "dropin", "drjs")
# Members whose values belong to the structure: enumerations, codes, and the like.
WORDS = {
    *{"acceptHeader", "brand", "chargeType", "code", "country", "countryOfOrigin", "currency"},
    *{"customerType", "digitalriverVersion", "elementType", "entity", "flow", "fraudState"},
    *{"fundingSource", "language", "locale", "parameter", "purpose", "shippingTerms", "status"},
    *{"type", "usage", "weightUnit"},
}
# Values with a meaning of their own: nothing known, a documented test value, the names of selling entities.
MEANINGS = {"", "-", "---", "IT12345678901", "C5_INC-ENTITY", "DR_INC-ENTITY", "DR_IRELAND-ENTITY"}


def is_word(name: str, value: str) -> bool:
    return name in WORDS or value in MEANINGS or (name == "state" and value.islower())


def structure(value: Any, name: str = "") -> object:
    """Members, types and words: two payloads of one kind have the same. A list counts once per kind."""
    if isinstance(value, dict):
        return frozenset((inner, structure(one, inner)) for inner, one in value.items())
    if isinstance(value, list):
        return ("list", frozenset(structure(one, name) for one in value))
    if isinstance(value, str) and is_word(name, value):
        return value
    return value if value is None or isinstance(value, bool) else type(value)


def texts(value: Any, name: str = "") -> Iterator[str]:
    """All texts but words."""
    if isinstance(value, dict):
        for inner, one in value.items():
            yield from texts(one, inner)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one, name)
    elif isinstance(value, str) and not is_word(name, value):
        yield value


def has_source(value: Any) -> bool:
    if isinstance(value, dict):
        is_source = "id" in value and isinstance(value.get(str(value.get("type"))), dict)
        return is_source or any(has_source(one) for one in value.values())
    return isinstance(value, list) and any(has_source(one) for one in value)


def printed(folder: str) -> dict[str, Json]:
    found = {path.stem: json.loads(path.read_text()) for path in (BESIDE / "samples" / folder).glob("*.json")}
    return found if folder in WHOLE else {name: one for name, one in found.items() if has_source(one)}


@pytest.mark.proof
def test_the_facts_are_a_valid_openapi_document() -> None:
    assert OpenAPI.from_dict(api()).spec


def test_the_facts_hold_no_sentence() -> None:
    words = json.dumps(api(), separators=(",", ":"))
    assert not set(words) & {" ", "\\"}


def test_facts_stay_and_prose_goes() -> None:
    member = {"type": "string", "description": "Some prose.", "example": "x", "maxLength": 9}
    schema = {"title": "T", "type": "object", "required": ["title"], "properties": {"title": member}}
    limit = {"name": "limit", "in": "query", "description": "Prose.", "required": False, "schema": member}
    answer = {"description": "200 OK", "content": {"application/json": {"schema": schema, "example": {}}}}
    operation = {"summary": "Prose.", "tags": ["x"], "parameters": [limit], "responses": {"200": answer}}
    found = derived(
        {
            "openapi": "3.0.1",
            "info": {"title": "T", "description": "Prose.", "version": "1"},
            "servers": [{"url": "https://api.test", "description": "Prose."}],
            "paths": {"/orders": {"get": operation}, "/elsewhere": {"get": operation}},
            "components": {"schemas": {"Errors": schema, "TrackingItem": schema}, "securitySchemes": {}},
        }
    )
    kept = {"type": "string", "maxLength": 9}
    assert found["paths"] == {
        "/orders": {
            "get": {
                "parameters": [{"name": "limit", "in": "query", "schema": kept}],
                "responses": {
                    "200": {
                        "description": "",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["title"],
                                    "properties": {"title": kept},
                                }
                            }
                        },
                    }
                },
            }
        }
    }


@needs_official
def test_the_facts_agree_with_the_official_document() -> None:
    official = json.loads((BESIDE / "openapi.json").read_text())
    assert API.read_text() == rendered(official), "run `python -m tests.data.derive`"


@needs_official
def test_our_payloads_have_the_structure_of_the_printed_ones() -> None:
    for folder in (*WHOLE, *PARTLY):
        real = {structure(one): name for name, one in printed(folder).items()}
        ours = {structure(one): name for name, one in payloads(folder).items()}
        missing = [name for kind, name in real.items() if kind not in ours]
        unreal = [name for kind, name in ours.items() if kind not in real]
        assert (missing, unreal) == ([], []), folder


@needs_official
def test_our_errors_have_the_structure_of_the_printed_ones() -> None:
    real = {structure(one) for one in printed_errors()}
    assert {structure(one["body"]) for one in errors()} == real


@needs_official
def test_our_payloads_repeat_no_value_of_the_printed_ones() -> None:
    folders = (*WHOLE, *PARTLY)
    real = {text for folder in folders for one in printed(folder).values() for text in texts(one)}
    real |= {text for one in printed_errors() for text in texts(one)}
    ours = {text for folder in folders for one in payloads(folder).values() for text in texts(one)}
    ours |= {text for one in errors() for text in texts(one["body"])}
    assert ours
    assert real & ours == set()


def printed_errors() -> list[Json]:
    return [json.loads(path.read_text()) for path in (BESIDE / "samples" / "errors").glob("*.json")]
