"""Private values that no log may hold, and requests that put them into every input of an operation."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from tests.support.sandbox import Json

# The planted values by kind, and the part of each that a log must not hold.
CANARIES: Mapping[str, tuple[str, str]] = {
    "webhook secret": ("whs_canary_Hs7GZk", "Hs7GZk"),
    "API key": ("sk_live_canary_Pq93Lx", "Pq93Lx"),
    "token": ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.Vm9nZWw", "eyJzdWIiOiJjYW5hcnkifQ"),
    "link": ("https://files.example/links/canary-Rt55w?key=Bb81n", "Rt55w"),
    "e-mail": ("yellow.bird@canary.example", "yellow.bird"),
    "card": ("4917610000000000", "4917610000000000"),
    "spaced card": ("4917 6100 0000 0000", "4917 6100"),
    "tax identifier": ("DE811907980", "811907980"),
}

# What any request may carry, whatever the operation declares.
_ANY_HEADERS = (
    "Cookie",
    "DigitalRiver-Signature",
    "Forwarded",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Origin",
    "Referer",
    "User-Agent",
    "X-Forwarded-For",
    "X-Request-ID",
)


def headers_with(canary: str) -> dict[str, str]:
    """Every header that is ours or common, with this value."""
    headers = dict.fromkeys(_ANY_HEADERS, canary)
    if canary == CANARIES["tax identifier"][0]:
        # It looks like a valid request id, which is logged on purpose.
        del headers["X-Request-ID"]
    return headers


def everywhere(document: Json, route: str, operation: Json, canary: str) -> Iterator[tuple[str, str, Json]]:
    """Requests of this operation with the canary in the path, the query, each header and the whole body:
    method, path and the arguments of httpx."""
    method, path = route.split()
    query = {"unknown": canary, canary: "unknown"}
    headers = headers_with(canary)
    for parameter in operation.get("parameters", ()):
        match parameter["in"]:
            case "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(canary, safe=""))
            case "query":
                query[parameter["name"]] = canary
            case "header":
                headers[parameter["name"]] = canary
    contents = operation.get("requestBody", {}).get("content", {})
    bodies = [_body(document, kind, content["schema"], canary) for kind, content in contents.items()]
    if "application/json" in contents:
        broken = f'{{"{canary}": {canary}'.encode()
        bodies.append({"content": broken, "headers": {"Content-Type": "application/json"}})
    for body in bodies or [{}]:
        arguments = {**body, "params": query, "headers": {**headers, **body.get("headers", {})}}
        yield method, path, arguments


def _body(document: Json, kind: str, schema: Json, canary: str) -> Json:
    value = filled(document, schema, canary)
    if kind == "multipart/form-data":
        file = (f"{canary}.pdf", f"%PDF-1.7 {canary}".encode(), "application/pdf")
        return {"data": {name: canary for name in value if name != "file"}, "files": {"file": file}}
    return {"json": {**value, canary: canary}}


def filled(document: Json, schema: Json, canary: str) -> Any:
    """A value of this schema's shape whose leaves are all the canary, whatever their types."""
    if reference := schema.get("$ref"):
        return filled(document, document["components"]["schemas"][reference.rsplit("/", 1)[-1]], canary)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        if choice.get("type") != "null":
            return filled(document, choice, canary)
    if schema.get("type") == "object":
        properties = schema.get("properties", {canary: {}})
        return {name: filled(document, part, canary) for name, part in properties.items()}
    if schema.get("type") == "array":
        return [filled(document, schema["items"], canary)]
    return canary


def one_leaf_each(body: Any) -> Iterator[Any]:
    """Copies of a good JSON body, each with a canary in the place of one of its values; kinds take turns."""
    kinds = [planted for planted, _ in CANARIES.values()]
    for number, path in enumerate(_leaves(body)):
        yield _replaced(body, path, kinds[number % len(kinds)])


def _leaves(body: Any) -> Iterator[tuple[str, ...]]:
    if not isinstance(body, dict):
        yield ()
        return
    for name, value in body.items():
        for path in _leaves(value):
            yield (name, *path)


def _replaced(body: Any, path: tuple[str, ...], value: str) -> Any:
    return {**body, path[0]: _replaced(body[path[0]], path[1:], value)} if path else value
