"""Webhooks: an address and the event types that are sent to it. This API never answers signing secrets."""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import values_of
from sandbox.delivery.webhooks import get_stored_webhook, store_webhook
from sandbox.json_types import Json
from sandbox.runtime.runtime import runtime_of
from sandbox.state.clock import iso_time_milliseconds
from sandbox.state.store import new_secret

_KNOWN = ("types", "address", "enabled", "apiVersion", "transportType", "authentication", "oauth")
# The docs' sample spells `userName`, the OpenAPI document `username`.
_ACCOUNT = ("userName", "username", "password")
_OAUTH = (*_ACCOUNT, "tokenEndPoint", "clientID", "clientSecret", "grantType")
_TRANSPORTS = ("HTTP", "OAUTH")
_VERSION = re.compile(r"default|\d{4}-\d\d-\d\d")
_ADDRESS = re.compile(r"https?://[^/\s]+")


def _read_form(body: Json) -> BodyValidator:
    validator = BodyValidator(body, _KNOWN)
    types = body.get("types")
    if types is not None and not (
        isinstance(types, list) and types and all(isinstance(name, str) and name for name in types)
    ):
        validator.reject_value("types")
    address = validator.text("address")
    if address is not None and not _ADDRESS.match(address):
        validator.reject_value("address")
    validator.boolean("enabled")
    version = validator.text("apiVersion")
    if version is not None and not _VERSION.fullmatch(version):
        validator.reject_value("apiVersion")
    validator.one_of("transportType", _TRANSPORTS)
    for name, members in (("authentication", _ACCOUNT), ("oauth", _OAUTH)):
        if (inner := validator.nested(name, members)) is not None:
            for member in members:
                inner.text(member)
            if name == "oauth":
                inner.require("clientID", "clientSecret", "tokenEndPoint")
                inner.one_of("grantType", ("password",))
            validator.merge_errors(inner)
    return validator


async def create_webhook(request: Request) -> Response:
    runtime = runtime_of(request)
    validator = _read_form(await read_json(request))
    validator.require("types", "address")
    validator.raise_errors()
    return JSONResponse(store_webhook(runtime, validator.body, new_secret()), 201)


async def list_webhooks(request: Request) -> Response:
    """An array without paging, filtered by `type` or `types` (Digital River OpenAPI document)."""
    types = {*values_of(request, "type"), *values_of(request, "types")}
    webhooks = reversed(runtime_of(request).store.webhooks.values())
    return JSONResponse([webhook for webhook in webhooks if not types or types & set(webhook["types"])])


async def get_webhook(request: Request) -> Response:
    return JSONResponse(get_stored_webhook(runtime_of(request), request.path_params["id"]))


async def update_webhook(request: Request) -> Response:
    runtime = runtime_of(request)
    webhook = get_stored_webhook(runtime, request.path_params["id"])
    validator = _read_form(await read_json(request))
    validator.raise_errors()
    webhook.update(validator.body, updatedTime=iso_time_milliseconds(runtime.now()))
    return JSONResponse(webhook)


async def delete_webhook(request: Request) -> Response:
    runtime = runtime_of(request)
    webhook = get_stored_webhook(runtime, request.path_params["id"])
    del runtime.store.webhooks[webhook["id"]]
    del runtime.store.signing_secrets[webhook["id"]]
    return Response(status_code=204)


routes = [
    Route("/webhooks", create_webhook, methods=["POST"]),
    Route("/webhooks", list_webhooks, methods=["GET"]),
    Route("/webhooks/{id}", get_webhook, methods=["GET"]),
    Route("/webhooks/{id}", update_webhook, methods=["PATCH"]),
    Route("/webhooks/{id}", delete_webhook, methods=["DELETE"]),
]
