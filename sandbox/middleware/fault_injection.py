"""What every call passes before a resource sees it: the recorder, the key check, the armed faults."""

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.errors import Complaint, Refusal, too_many_requests, unauthorized
from sandbox.faults.definitions import Fault
from sandbox.faults.tampering import answer_with_lies
from sandbox.runtime.rate_limit import RETRY_AFTER
from sandbox.runtime.runtime import World
from sandbox.state.clock import stamp_milliseconds
from sandbox.state.store import new_id

CONTROL = "/_sandbox"
_PUBLIC = "/links/"
# Digital River, OpenAPI introduction: what callers are asked to send along.
_KEPT_HEADERS = (
    "upstream-id",
    "upstream-application-id",
    "upstream-session-id",
    "forwarded",
    "digitalriver-version",
    "user-agent",
)


def _world(scope: Scope) -> World:
    world: World = scope["app"].state.world
    return world


def _is_far_side(scope: Scope) -> bool:
    return scope["type"] == "http" and not scope["path"].startswith(CONTROL)


class CallRecorder:
    """Gives every answer its `x-dr-requestid` and keeps a list of calls for tests to read."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = [route for route in routes if isinstance(route, Route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_far_side(scope):
            await self._app(scope, receive, send)
            return
        request_id, headers = new_id(), Headers(scope=scope)
        scope["sandbox.template"] = template_of(self._routes, scope)
        call = {
            "method": scope["method"],
            "path": scope["sandbox.template"],
            "status": None,
            "at": stamp_milliseconds(_world(scope).now()),
            "requestId": request_id,
            "headers": {name: headers[name] for name in _KEPT_HEADERS if name in headers},
        }
        _world(scope).calls.append(call)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                call["status"] = message["status"]
                MutableHeaders(scope=message)["x-dr-requestid"] = request_id
            await send(message)

        await self._app(scope, receive, send_marked)


def template_of(routes: Iterable[Route], scope: Scope) -> str:
    """`/orders/{id}` for `/orders/204440790336`; the path itself when no route knows it."""
    for route in routes:
        if route.matches(scope)[0] is not Match.NONE:
            return route.path
    return str(scope["path"])


class AuthorizationGate:
    """The secret key as bearer token, or as the user of Basic; then the key's rate limit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_far_side(scope) or scope["path"].startswith(_PUBLIC):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refusal.as_response()(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        world = _world(scope)
        key = key_of(Headers(scope=scope).get("authorization", ""))
        if key == world.settings.public_key:
            # Digital River docs, API structure: the public key belongs to the browser; the text is inferred.
            return Refusal(403, Complaint("The public key cannot be used for this resource."))
        if key != world.settings.secret_key:
            return unauthorized()
        return None if world.limit.admits(key) else too_many_requests(RETRY_AFTER)


def key_of(authorization: str) -> str | None:
    """The bearer token, or the user name of Basic, as some of the docs' curl samples send it."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except ValueError:
        return None


class FaultGate:
    """Lets armed faults happen to the calls they hit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_far_side(scope):
            await self._app(scope, receive, send)
            return
        world = _world(scope)
        faults = world.faults.take_for_call(
            scope["method"], scope["path"], scope["sandbox.template"], world.now()
        )
        hidden: set[str] = set()
        lies = [fault for fault in faults if fault.is_lie]
        for fault in faults:
            if fault.kind == "delay" and fault.afterwards:
                send = _late(fault.seconds or 0.0, send)
            elif fault.kind == "delay":
                await asyncio.sleep(fault.seconds or 0.0)
            elif fault.replaces_the_answer:
                await self._replace_answer(fault, scope, receive, send)
                return
            elif fault.kind == "hide":
                hidden.update(fault.fields)
        send = _without(hidden, send) if hidden else send
        if lies:
            await answer_with_lies(lies, self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _replace_answer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.afterwards:
            await self._app(scope, receive, _lose)
        if fault.kind == "reset":
            reset_connection(scope)
        else:
            await _instead(fault)(scope, receive, send)


def _late(seconds: float, send: Send) -> Send:
    """An answer that is ready but does not come for a while."""

    async def hold(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return hold


async def _lose(_message: Message) -> None:
    """Where an answer goes that nobody gets."""


def _instead(fault: Fault) -> Response:
    """The answer a fault puts in the place of the resource's own."""
    match fault.kind:
        case "status":
            return Refusal(fault.status, Complaint("A fault was asked for.", "unknown_error")).as_response()
        case "throttle":
            return too_many_requests(fault.retry_after).as_response()
        case "garbage":
            return Response('{"id": "<html>', media_type="application/json")
        case "empty":
            return Response(b"", media_type="application/json")
        case _:
            return Refusal(404, Complaint("Not found.", "not_found", "id")).as_response()


def _without(names: set[str], send: Send) -> Send:
    """Passes a JSON answer on without the named members, at the top and in each element of `data`."""
    held: list[Message] = []

    async def send_stripped(message: Message) -> None:
        held.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            start, raw = held[0], b"".join(part.get("body", b"") for part in held[1:])
            body = strip(raw, names)
            MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

    return send_stripped


def strip(raw: bytes, names: set[str]) -> bytes:
    try:
        answer = json.loads(raw)
    except ValueError:
        return raw
    if not isinstance(answer, dict):
        return raw
    resources = answer["data"] if isinstance(answer.get("data"), list) else [answer]
    for resource in resources:
        for name in names:
            resource.pop(name, None)
    return json.dumps(answer).encode()


def reset_connection(scope: Scope) -> None:
    """Answer with a TCP reset: closing a socket that lingers for no time sends RST instead of FIN."""
    transport: asyncio.Transport = scope["extensions"]["sandbox"]["transport"]
    connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
