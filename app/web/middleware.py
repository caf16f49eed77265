"""What every request has, whichever room is asked: a name, a log line, safe headers, a bounded body."""

import re
from collections.abc import Callable
from secrets import token_hex
from time import perf_counter

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from app.digital_river.client.request import CALLER, Caller
from app.logging import is_private
from app.web.error_handlers import answer
from app.web.rate_limits import RequestQuota
from app.web.request_body import read_body, require_text
from app.web.routing import find_route

log = structlog.get_logger("app.requests")

# It is logged and sent on, so a payment card's digits are no name for a request.
_REQUEST_ID = re.compile(rb"(?!(?:\d{15,19}|(?:\d{4}-){3}\d+)$)[A-Za-z0-9._-]{1,128}")

_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# FastAPI's page starts Swagger UI with an inline script; Swagger UI draws with inline styles and images.
_DOCS_POLICY = (
    b"default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    b"script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-site"),
)
_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")


_IS_HEAD = "portal_is_head"


class HeadAsGet:
    """Answers HEAD wherever GET is answered: with the same status and header fields, and no content (RFC 9110
    §9.3.2). Outermost, so that all within it sees a GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            elif not message.get("more_body", False):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET", _IS_HEAD: True}, receive, send_head)


def is_head(scope: Scope) -> bool:
    """Whether the content of the answer goes nowhere: for an answer whose content is costly to get."""
    return _IS_HEAD in scope


class RequestContext:
    """Names the request, adds the common headers to every answer and writes its log line."""

    def __init__(self, app: ASGIApp, *, docs_paths: frozenset[str], https_only: bool) -> None:
        self._app = app
        self._docs_paths = docs_paths
        self._always = (*_ALWAYS, _TRANSPORT_SECURITY) if https_only else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        status = 0

        async def send_dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._dress(message, scope, request_id)
            await send(message)

        client = scope.get("client")
        caller = CALLER.set(Caller(request_id=request_id, forwarded_for=client[0] if client else None))
        bound = bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_dressed)
        finally:
            _log_line(scope, status, began)
            reset_contextvars(**bound)
            CALLER.reset(caller)

    def _dress(self, message: Message, scope: Scope, request_id: str) -> None:
        headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode()), *self._always]
        present = {name for name, _ in headers}
        if b"cache-control" not in present:
            headers.append((b"cache-control", b"private, no-store"))
        if b"content-security-policy" not in present:
            policy = _DOCS_POLICY if scope["path"] in self._docs_paths else _POLICY
            headers.append((b"content-security-policy", policy))
        tally: RequestQuota | None = scope.get(RequestQuota.SCOPE)
        if tally is not None:
            headers += tally.headers()
        message["headers"] = headers


class ErrorBoundary:
    """Answers whatever FastAPI's own handlers did not catch, so that nothing reaches the server.

    Except when the answer has begun: then only a broken connection tells the caller that it is incomplete.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_noticed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noticed)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            response = await answer(Request(scope, receive), error)
            await response(scope, receive, send)


class JsonBodyLimit:
    """Reads the bodies of JSON routes before the app does, with a limit and a deadline.

    `reads_itself(path)` exempts routes that read their own body.
    """

    def __init__(
        self, app: ASGIApp, *, limit: int, seconds: float, reads_itself: Callable[[str], bool]
    ) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds
        self._reads_itself = reads_itself

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope) or self._reads_itself(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await read_body(Request(scope, receive), self._limit, self._seconds)
        require_text(body)
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def _has_body(scope: Scope) -> bool:
    return any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            given: str = value.decode()
            if not is_private(given):
                return given
    return token_hex(16)


def _log_line(scope: Scope, status: int, began: float) -> None:
    facts = find_route(scope)
    log.info(
        "request",
        method="HEAD" if is_head(scope) else scope["method"],
        route=facts.template if facts else None,
        status=status or None,
        ms=round((perf_counter() - began) * 1000, 2),
    )
