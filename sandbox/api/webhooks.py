"""Webhooks: who wants to hear of what, and the secrets that sign for them (never answered by this API)."""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import Form, read_json
from sandbox.api.lists import texts_of
from sandbox.delivery.webhooks import get_stored_webhook, keep_webhook
from sandbox.json_types import Json
from sandbox.runtime.runtime import world_of
from sandbox.state.clock import stamp_milliseconds
from sandbox.state.store import new_secret

_KNOWN = ("types", "address", "enabled", "apiVersion", "transportType", "authentication", "oauth")
# The docs' sample spells `userName`, the OpenAPI document `username`.
_ACCOUNT = ("userName", "username", "password")
_OAUTH = (*_ACCOUNT, "tokenEndPoint", "clientID", "clientSecret", "grantType")
_TRANSPORTS = ("HTTP", "OAUTH")
_VERSION = re.compile(r"default|\d{4}-\d\d-\d\d")
_ADDRESS = re.compile(r"https?://[^/\s]+")


def _read_form(body: Json) -> Form:
    form = Form(body, _KNOWN)
    types = body.get("types")
    if types is not None and not (
        isinstance(types, list) and types and all(isinstance(name, str) and name for name in types)
    ):
        form.refuse_value("types")
    address = form.text("address")
    if address is not None and not _ADDRESS.match(address):
        form.refuse_value("address")
    form.boolean("enabled")
    version = form.text("apiVersion")
    if version is not None and not _VERSION.fullmatch(version):
        form.refuse_value("apiVersion")
    form.one_of("transportType", _TRANSPORTS)
    for name, members in (("authentication", _ACCOUNT), ("oauth", _OAUTH)):
        if (inner := form.nested(name, members)) is not None:
            for member in members:
                inner.text(member)
            if name == "oauth":
                inner.require("clientID", "clientSecret", "tokenEndPoint")
                inner.one_of("grantType", ("password",))
            form.absorb(inner)
    return form


async def create_webhook(request: Request) -> Response:
    world = world_of(request)
    form = _read_form(await read_json(request))
    form.require("types", "address")
    form.done()
    return JSONResponse(keep_webhook(world, form.body, new_secret()), 201)


async def list_webhooks(request: Request) -> Response:
    """A bare array without paging, filtered by `type` or `types` (Digital River OpenAPI document)."""
    wanted = {*texts_of(request, "type"), *texts_of(request, "types")}
    hooks = reversed(world_of(request).ledger.webhooks.values())
    return JSONResponse([hook for hook in hooks if not wanted or wanted & set(hook["types"])])


async def get_webhook(request: Request) -> Response:
    return JSONResponse(get_stored_webhook(world_of(request), request.path_params["id"]))


async def update_webhook(request: Request) -> Response:
    world = world_of(request)
    hook = get_stored_webhook(world, request.path_params["id"])
    form = _read_form(await read_json(request))
    form.done()
    hook.update(form.body, updatedTime=stamp_milliseconds(world.now()))
    return JSONResponse(hook)


async def delete_webhook(request: Request) -> Response:
    world = world_of(request)
    hook = get_stored_webhook(world, request.path_params["id"])
    del world.ledger.webhooks[hook["id"]]
    del world.ledger.signing_secrets[hook["id"]]
    return Response(status_code=204)


routes = [
    Route("/webhooks", create_webhook, methods=["POST"]),
    Route("/webhooks", list_webhooks, methods=["GET"]),
    Route("/webhooks/{id}", get_webhook, methods=["GET"]),
    Route("/webhooks/{id}", update_webhook, methods=["PATCH"]),
    Route("/webhooks/{id}", delete_webhook, methods=["DELETE"]),
]
