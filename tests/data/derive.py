"""Derives the table of facts from Digital River's official OpenAPI document.

To make it anew: `.venv/bin/python -m tests.data.derive ../shared/digital-river/openapi.json`.

The table is an OpenAPI document itself, so the same tools read both. It holds what a test can check (paths,
parameters, members, types, enumerations, limits). It holds no descriptions, titles, summaries or examples.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

from tests.data.digital_river import API

Json = dict[str, Any]

WIDTH = 110
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# What the portal and its sandbox use, and what a checkout needs. Add a resource here before its first test.
RESOURCES = {
    *{"charges", "checkouts", "country-specs", "customers", "drop-in", "events", "file-links", "files"},
    *{"fulfillments", "orders", "refunds", "returns", "shipping-quotes", "sources", "tax-identifiers"},
    *{"webhooks"},
}
# Our models read these schemas, but no operation of the official document refers to them.
UNREFERENCED = {"TrackingItem"}
# Every operation repeats the same ten answers to failed calls; the table holds them once.
FAILURE = {
    "description": "",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}},
}
FAILED = {"$ref": "#/components/responses/Failed"}
# Keywords that hold a schema, and keywords that hold a list of schemas.
INNER = {"items", "additionalProperties", "not"}
LISTED = {"allOf", "anyOf", "oneOf"}
FACTS = {
    *{"$ref", "default", "discriminator", "enum", "format", "maximum", "maxItems", "maxLength", "minimum"},
    *{"minItems", "minLength", "nullable", "pattern", "readOnly", "required", "type", "writeOnly"},
}
USUAL_STYLES = {"query": "form", "path": "simple", "header": "simple"}


def schema_facts(schema: Json | bool) -> Json | bool:
    if isinstance(schema, bool):
        return schema
    facts: Json = {}
    for keyword, value in schema.items():
        if keyword in INNER:
            facts[keyword] = schema_facts(value)
        elif keyword in LISTED:
            facts[keyword] = [schema_facts(one) for one in value]
        elif keyword == "properties":
            facts[keyword] = {name: schema_facts(one) for name, one in value.items()}
        elif keyword in FACTS:
            facts[keyword] = value
    return facts


def content_facts(content: Json) -> Json:
    return {
        kind: {"schema": schema_facts(one["schema"])} if "schema" in one else {}
        for kind, one in content.items()
    }


def parameter_facts(parameter: Json) -> Json:
    """Leaves out what OpenAPI assumes: not required, the usual style, `explode` for `form` only."""
    facts: Json = {"name": parameter["name"], "in": parameter["in"]}
    if parameter.get("required"):
        facts["required"] = True
    style = parameter.get("style", USUAL_STYLES[parameter["in"]])
    if style != USUAL_STYLES[parameter["in"]]:
        facts["style"] = style
    if parameter.get("explode", style == "form") != (style == "form"):
        facts["explode"] = parameter["explode"]
    return {**facts, "schema": schema_facts(parameter["schema"])}


def response_facts(response: Json) -> Json:
    facts: Json = {"description": ""}
    if "headers" in response:
        facts["headers"] = {
            name: {"schema": schema_facts(one["schema"])} for name, one in response["headers"].items()
        }
    if "content" in response:
        facts["content"] = content_facts(response["content"])
    return FAILED if facts == FAILURE else facts


def operation_facts(operation: Json) -> Json:
    facts: Json = {}
    if "parameters" in operation:
        facts["parameters"] = [parameter_facts(one) for one in operation["parameters"]]
    if "requestBody" in operation:
        body = operation["requestBody"]
        facts["requestBody"] = {"content": content_facts(body["content"])}
        if body.get("required"):
            facts["requestBody"]["required"] = True
    facts["responses"] = {status: response_facts(one) for status, one in operation["responses"].items()}
    if "security" in operation:
        facts["security"] = operation["security"]
    return facts


def referred(value: Any) -> set[str]:
    """The names of the schemas that a part of the document refers to."""
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(value)))


def schemas_facts(schemas: Json, needed: set[str]) -> Json:
    """The needed schemas and all that they refer to, in the document's order."""
    found: set[str] = set()
    while needed:
        found |= needed
        needed = set().union(*(referred(schemas[name]) for name in needed)) - found
    return {name: schema_facts(schema) for name, schema in schemas.items() if name in found}


def derived(official: Json) -> Json:
    """The facts of the resources above, in the document's order."""
    paths = {
        path: {method: operation_facts(one) for method, one in operations.items() if method in METHODS}
        for path, operations in official["paths"].items()
        if path.split("/")[1] in RESOURCES
    }
    components = official["components"]
    return {
        "openapi": official["openapi"],
        "info": {"title": "", "version": official["info"]["version"]},
        "servers": [{"url": one["url"]} for one in official["servers"]],
        "paths": paths,
        "components": {
            "responses": {"Failed": FAILURE},
            "securitySchemes": components["securitySchemes"],
            "schemas": schemas_facts(components["schemas"], referred([paths, FAILURE]) | UNREFERENCED),
        },
    }


def lines(value: Any, start: str = "", end: str = "", depth: int = 0) -> Iterator[str]:
    """JSON with one fact on a line, as far as the line is wide: a difference shows the fact that changed."""
    indent = " " * depth
    short = f"{indent}{start}{json.dumps(value, ensure_ascii=False)}{end}"
    if len(short) <= WIDTH or not isinstance(value, dict | list) or not value:
        yield short
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        filled = fill(json.dumps(value, ensure_ascii=False)[1:-1], WIDTH - depth - 1, break_on_hyphens=False)
        yield f"{indent}{start}["
        yield from (f"{indent} {line}" for line in filled.splitlines())
        yield f"{indent}]{end}"
    else:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield f"{indent}{start}{opening}"
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for place, (name, inner) in enumerate(pairs, start=1):
            label = f"{json.dumps(name)}: " if isinstance(value, dict) else ""
            yield from lines(inner, label, "," if place < len(value) else "", depth + 1)
        yield f"{indent}{closing}{end}"


def rendered(official: Json) -> str:
    return "\n".join(lines(derived(official))) + "\n"


if __name__ == "__main__":
    API.write_text(rendered(json.loads(Path(sys.argv[1]).read_text())))
