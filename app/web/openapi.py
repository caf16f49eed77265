"""Completes FastAPI's OpenAPI document with the problems and headers of all routes, and publishes it."""

import json
from collections.abc import Iterator
from threading import Lock
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from app.web.api_model import ApiModel
from app.web.problems import (
    BadGateway,
    BareProblemDocument,
    Conflict,
    Forbidden,
    HeadTooLarge,
    Internal,
    Invalid,
    Malformed,
    NotFound,
    Problem,
    ProblemDocument,
    RequestTimeout,
    ServiceUnavailable,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMedia,
    responses,
)
from app.web.rate_limits import LIMITED_PREFIX

JsonObject = dict[str, Any]

DOCUMENT_PATH = "/openapi.json"
DOCS_PATH = "/docs"
_ASSETS_PATH = "/docs/assets"

_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})
_AUTHENTICATED = (LIMITED_PREFIX, "/ops/")
_REFERENCE = "#/components/schemas/{model}"

_HEADERS: JsonObject = {
    "RequestId": {
        "description": "The id of this request: a valid X-Request-ID of the client, else a new id.",
        "schema": {"type": "string", "maxLength": 128},
    },
    "ETag": {
        "description": "The version of this resource. Send it as If-None-Match or If-Match.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit": {
        "description": "The limits of the buyer and of the client's address: `r` requests are left, and "
        "after `t` seconds there are more. A limit is left out if its state is not known.",
        "schema": {"type": "string", "examples": ['"address";r=2998;t=1, "buyer";r=297;t=1']},
    },
    "RateLimitPolicy": {
        "description": "The limits: `q` requests in `w` seconds, spread evenly or all at once.",
        "schema": {"type": "string", "examples": ['"address";q=3000;w=60, "buyer";q=300;w=60']},
    },
    "Challenge": {
        "description": "The kind of token that is required, and why the token was refused (RFC 6750).",
        "schema": {"type": "string"},
    },
}
_HEADERS_OF_STATUS = {
    "304": {"ETag": "ETag"},
    "401": {"WWW-Authenticate": "Challenge"},
    "429": {"Retry-After": "RetryAfter"},
    "503": {"Retry-After": "RetryAfter"},
}
_LIMIT_HEADERS = {"RateLimit": "RateLimit", "RateLimit-Policy": "RateLimitPolicy"}
_IF_NONE_MATCH: JsonObject = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags that the client already has. If one of them is current, the answer is 304.",
    "schema": {"type": "string"},
}


def install(app: FastAPI) -> None:
    """Serve `document` at `DOCUMENT_PATH`, and Swagger UI at `DOCS_PATH`.

    Swagger UI's script and styles come from this process, so the page needs no internet. The app must be made
    without FastAPI's own document and docs page.
    """
    app.openapi = lambda: document(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    published: list[JSONResponse] = []
    publishing = Lock()

    # Not async, so FastAPI calls it in a thread: the document takes half a second, in which no other request
    # would be served.
    def publish() -> JSONResponse:
        with publishing:
            if not published:
                published.append(JSONResponse(document(app)))
        return published[0]

    page = get_swagger_ui_html(
        openapi_url=DOCUMENT_PATH,
        title=app.title,
        swagger_js_url=f"{_ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS_PATH}/favicon-32x32.png",
    )

    async def show() -> HTMLResponse:
        return page

    app.add_api_route(DOCUMENT_PATH, publish, include_in_schema=False)
    app.add_api_route(DOCS_PATH, show, include_in_schema=False)
    app.mount(_ASSETS_PATH, StaticFiles(packages=[("fastapi_swagger", "resources")]))


def document(app: FastAPI) -> JsonObject:
    """The OpenAPI document. It is made once per app, so call this after all routes are added."""
    if app.openapi_schema is None:
        app.openapi_schema = _complete(
            get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                tags=app.openapi_tags,
                servers=app.servers,
                contact=app.contact,
                license_info=app.license_info,
                routes=app.routes,
            )
        )
    return app.openapi_schema


def _complete(found: JsonObject) -> JsonObject:
    components = found.setdefault("components", {})
    schemas: JsonObject = components.setdefault("schemas", {})
    for replaced in ("HTTPValidationError", "ValidationError"):
        schemas.pop(replaced, None)
    for problem in (ProblemDocument, BareProblemDocument):
        problem_schema = problem.model_json_schema(ref_template=_REFERENCE)
        schemas.update(problem_schema.pop("$defs", {}))
        schemas[problem.__name__] = problem_schema
    _restore_examples(schemas, ApiModel)
    for schema in schemas.values():
        _describe_defaults(schema)
    components["schemas"] = dict(sorted(schemas.items()))
    components["headers"] = _HEADERS
    for path, operation in _operations(found):
        operation.setdefault("security", [])
        _declare_problems(path, operation)
        _declare_headers(path, operation)
    return found


def _restore_examples(schemas: JsonObject, model: type[ApiModel]) -> None:
    """Publish examples as they are written. FastAPI removes every null, also from examples."""
    for child in model.__subclasses__():
        extra = child.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and "examples" in schemas.get(child.__name__, ()):
            schemas[child.__name__]["examples"] = extra["examples"]
        _restore_examples(schemas, child)


def _describe_defaults(schema: JsonObject) -> None:
    """Move the default of an optional member into its description. Client generators make members with a
    `default` mandatory. In answers every member is present, so the default is dropped there."""
    for name, member in schema.get("properties", {}).items():
        default = member.pop("default", None)
        if default is not None and name not in schema.get("required", ()):
            described = member.get("description", "")
            member["description"] = f"{described} By default `{json.dumps(default)}`.".strip()


def _operations(found: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for path, item in found.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, operation


def _declare_problems(path: str, operation: JsonObject) -> None:
    """Add the problems that the route did not declare. The route's own entry for a status stays."""
    declared: JsonObject = operation["responses"]
    # FastAPI's own 422 is the only problem with the media type application/json.
    if "application/json" in declared.get("422", {}).get("content", {}):
        del declared["422"]
        declared |= _responses_of(Invalid)
    common: list[type[Problem]] = [HeadTooLarge]
    if path.startswith(_AUTHENTICATED):
        common += [Invalid, Internal, ServiceUnavailable, Unauthenticated, Forbidden]
    if path.startswith(LIMITED_PREFIX):
        common += [TooManyRequests]
    if str(BadGateway.status) in declared:
        # `error_handlers` maps refusals by Digital River to these for every call.
        common += [Conflict, NotFound]
    if "requestBody" in operation:
        common += [Malformed, RequestTimeout, TooLarge, UnsupportedMedia]
    operation["responses"] = dict(sorted({**_responses_of(*common), **declared}.items()))


def _responses_of(*problems: type[Problem]) -> JsonObject:
    return {str(status): entry for status, entry in responses(*problems).items()}


def _declare_headers(path: str, operation: JsonObject) -> None:
    declared: JsonObject = operation["responses"]
    parameters: list[JsonObject] = operation.get("parameters", [])
    is_idempotent = any(parameter.get("name") == "Idempotency-Key" for parameter in parameters)
    for status, response in declared.items():
        names = {"X-Request-ID": "RequestId", **_HEADERS_OF_STATUS.get(status, {})}
        if path.startswith(LIMITED_PREFIX):
            names |= _LIMIT_HEADERS
        if status == "200" and "304" in declared:
            names["ETag"] = "ETag"
        if status == str(Conflict.status) and is_idempotent:
            names["Retry-After"] = "RetryAfter"
        headers = response.setdefault("headers", {})
        for name, component in names.items():
            headers.setdefault(name, {"$ref": f"#/components/headers/{component}"})
    if "304" in declared:
        operation["parameters"] = parameters
        if _IF_NONE_MATCH["name"] not in {parameter.get("name") for parameter in parameters}:
            parameters.append(_IF_NONE_MATCH)
