"""Reads operations and schemas from the OpenAPI document, and lists our published models."""

from collections.abc import Iterator
from typing import Any

from app.web.api_model import ApiModel

Json = dict[str, Any]


def operations(document: Json) -> dict[str, Json]:
    """The document's operations by `GET /path`."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def schemas_in_answers(document: Json) -> set[str]:
    """The names of the schemas that some answer holds, however deep."""
    found: set[str] = set()
    waiting: list[Any] = [operation["responses"] for operation in operations(document).values()]
    while waiting:
        part = waiting.pop()
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            name = part["$ref"].rsplit("/", 1)[-1]
            if name not in found:
                found.add(name)
                waiting.append(document["components"].get("schemas", {}).get(name))
    return found


def contract_models() -> list[type[ApiModel]]:
    """Every concrete model that crosses our boundary. Importing the app is what makes them known."""
    return sorted(_below(ApiModel), key=lambda model: (model.__module__, model.__qualname__))


def _below(model: type[ApiModel]) -> Iterator[type[ApiModel]]:
    for child in model.__subclasses__():
        yield from _below(child)
        is_generic = any(child.__pydantic_generic_metadata__.values())
        if child.__module__.startswith("app.") and not is_generic:
            yield child
