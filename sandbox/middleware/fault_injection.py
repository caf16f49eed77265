"""Applies the active faults to calls of the Digital River API."""

import asyncio
import json
import os
import socket
import struct

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.errors import ApiError, ErrorDetail, too_many_requests
from sandbox.faults.definitions import Fault
from sandbox.faults.tampering import answer_with_tampering
from sandbox.middleware.scope import is_api_call, runtime_in


class FaultInjectionMiddleware:
    """Takes the faults that match a call and applies them, to the call or to its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_api_call(scope):
            await self._app(scope, receive, send)
            return
        runtime = runtime_in(scope)
        faults = runtime.faults.take_for_call(
            scope["method"], scope["path"], scope["sandbox.template"], runtime.now()
        )
        hidden: set[str] = set()
        tamperings = [fault for fault in faults if fault.is_tampering]
        for fault in faults:
            if fault.kind == "delay" and fault.afterwards:
                send = _delayed(fault.seconds or 0.0, send)
            elif fault.kind == "delay":
                await asyncio.sleep(fault.seconds or 0.0)
            elif fault.replaces_the_answer:
                await self._replace_answer(fault, scope, receive, send)
                return
            elif fault.kind == "hide":
                hidden.update(fault.fields)
        send = _without_members(hidden, send) if hidden else send
        if tamperings:
            await answer_with_tampering(tamperings, runtime.store, self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _replace_answer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.afterwards:
            await self._app(scope, receive, _discard)
        if fault.kind == "reset":
            reset_connection(scope)
        else:
            await _replacement_for(fault)(scope, receive, send)


def _delayed(seconds: float, send: Send) -> Send:
    """Sends the answer after `seconds`."""

    async def send_late(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return send_late


async def _discard(_message: Message) -> None:
    """Send nothing."""


def _replacement_for(fault: Fault) -> Response:
    """The answer that a fault sends instead of the resource's own."""
    match fault.kind:
        case "status":
            return ApiError(
                fault.status, ErrorDetail("This error is a fault that was set.", "unknown_error")
            ).as_response()
        case "throttle":
            return too_many_requests(fault.retry_after).as_response()
        case "garbage":
            return Response('{"id": "<html>', media_type="application/json")
        case "empty":
            return Response(b"", media_type="application/json")
        case _:
            return ApiError(404, ErrorDetail("Not found.", "not_found", "id")).as_response()


def _without_members(names: set[str], send: Send) -> Send:
    """Forwards a JSON answer without the named members, at the top and in each element of `data`."""
    held: list[Message] = []

    async def send_stripped(message: Message) -> None:
        held.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            start, raw = held[0], b"".join(part.get("body", b"") for part in held[1:])
            body = remove_members(raw, names)
            MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

    return send_stripped


def remove_members(raw: bytes, names: set[str]) -> bytes:
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
    """Answer with a TCP reset: with SO_LINGER 0, close sends RST instead of FIN."""
    transport: asyncio.Transport = scope["extensions"]["sandbox"]["transport"]
    connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
