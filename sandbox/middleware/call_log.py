"""The request log: every call of the Digital River API, for tests to read."""

from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.middleware.scope import is_api_call, runtime_in
from sandbox.state.clock import iso_time_milliseconds
from sandbox.state.store import new_id

# Digital River, OpenAPI introduction: the headers that callers should send.
_KEPT_HEADERS = (
    "upstream-id",
    "upstream-application-id",
    "upstream-session-id",
    "forwarded",
    "digitalriver-version",
    "user-agent",
)


class CallLogMiddleware:
    """Adds `x-dr-requestid` to every answer and logs every call."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = [route for route in routes if isinstance(route, Route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_api_call(scope):
            await self._app(scope, receive, send)
            return
        request_id, headers = new_id(), Headers(scope=scope)
        scope["sandbox.template"] = template_of(self._routes, scope)
        call = {
            "method": scope["method"],
            "path": scope["sandbox.template"],
            "status": None,
            "at": iso_time_milliseconds(runtime_in(scope).now()),
            "requestId": request_id,
            "headers": {name: headers[name] for name in _KEPT_HEADERS if name in headers},
        }
        runtime_in(scope).calls.append(call)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                call["status"] = message["status"]
                MutableHeaders(scope=message)["x-dr-requestid"] = request_id
            await send(message)

        await self._app(scope, receive, send_marked)


def template_of(routes: Iterable[Route], scope: Scope) -> str:
    """`/orders/{id}` for `/orders/204440790336`; the path itself if no route matches."""
    for route in routes:
        if route.matches(scope)[0] is not Match.NONE:
            return route.path
    return str(scope["path"])
