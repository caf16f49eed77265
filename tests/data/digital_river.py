"""The facts of Digital River's API, and payloads of our own that have its structure."""

import json
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FOLDER = Path(__file__).parent
API = FOLDER / "digital_river_api.json"
ERRORS = FOLDER / "errors.json"
PAYLOADS = FOLDER / "payloads"


@cache
def api() -> Json:
    """The facts of the official OpenAPI document, as an OpenAPI document (see `tests/data/derive.py`)."""
    table: Json = json.loads(API.read_text())
    return table


def schema(name: str) -> Json:
    found: Json = api()["components"]["schemas"][name]
    return found


def payload(name: str) -> Json:
    """The payload of this name, as `events/order_complete`."""
    found: Json = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def payload_names(folder: str) -> list[str]:
    """The names of a folder's payloads; a folder that has none is a mistake."""
    names = sorted(f"{folder}/{path.stem}" for path in (PAYLOADS / folder).glob("*.json"))
    if not names:
        raise LookupError(f"no payloads of {folder}")
    return names


def payloads(folder: str) -> dict[str, Json]:
    return {name: payload(name) for name in payload_names(folder)}


def errors() -> list[Json]:
    """Refusals of every documented kind: a status and a body each."""
    found: list[Json] = json.loads(ERRORS.read_text())
    return found
