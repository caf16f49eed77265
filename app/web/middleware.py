"""The middlewares that every request passes: request id, log line, security headers, bounded JSON bodies."""

import re
from collections.abc import Callable
from secrets import token_hex
from time import perf_counter

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from app.digital_river.client.request import CALLER, Caller
from app.logging import is_private, log_info
from app.web.error_handlers import problem_response
from app.web.rate_limits import RequestQuota
from app.web.request_body import check_json_text, read_body
from app.web.routing import find_route

# The id is logged and sent to Digital River, so it must not look like a card number.
_REQUEST_ID = re.compile(rb"(?!(?:\d{15,19}|(?:\d{4}-){3}\d+)$)[A-Za-z0-9._-]{1,128}")

_CONTENT_SECURITY = (
    b"content-security-policy",
    b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)
# FastAPI's page starts Swagger UI with an inline script; Swagger UI uses inline styles and images.
_DOCS_CONTENT_SECURITY = (
    b"content-security-policy",
    b"default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    b"script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
)
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-site"),
)
_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")
_NOT_STORED = (b"cache-control", b"private, no-store")

LOG_FIELDS = "portal_log_fields"
"""Where a route leaves more fields for the log line of its request, as a dict in the scope."""

_IS_HEAD = "portal_is_head"


class HeadAsGet:
    """Answers HEAD like GET, with the same status and header fields and no content (RFC 9110 §9.3.2).

    It is outside of all other middlewares but `DirectRoute`, so that they see a GET.
    """

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
    """Whether the client sent HEAD: the route may skip content that is costly to get."""
    return _IS_HEAD in scope


class RequestContext:
    """Gives the request its id, adds the common headers to every answer and writes the log line."""

    def __init__(self, app: ASGIApp, *, docs_paths: frozenset[str], https_only: bool) -> None:
        self._app = app
        self._docs_paths = docs_paths
        self._security_headers = _security_headers(https_only=https_only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        request_id = scope["request_id"] = read_request_id(scope)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(message, scope, request_id)
            await send(message)

        client = scope.get("client")
        caller = CALLER.set(Caller(request_id=request_id, forwarded_for=client[0] if client else None))
        bound = bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            route = find_route(scope)
            log_request(scope, route.template if route else None, status, began)
            reset_contextvars(**bound)
            CALLER.reset(caller)

    def _add_headers(self, message: Message, scope: Scope, request_id: str) -> None:
        headers = [
            *message.get("headers", ()),
            (b"x-request-id", request_id.encode()),
            *self._security_headers,
        ]
        present = {name for name, _ in headers}
        if b"cache-control" not in present:
            headers.append(_NOT_STORED)
        if b"content-security-policy" not in present:
            is_docs = scope["path"] in self._docs_paths
            headers.append(_DOCS_CONTENT_SECURITY if is_docs else _CONTENT_SECURITY)
        quota: RequestQuota | None = scope.get(RequestQuota.SCOPE)
        if quota is not None:
            headers += quota.headers()
        message["headers"] = headers


class ErrorBoundary:
    """Turns exceptions that FastAPI's own handlers did not catch into answers.

    If the answer has begun, the middleware raises the exception again, and the server breaks the connection:
    only this shows the caller that the answer is incomplete.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_noting_start(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting_start)
        except Exception as error:
            if has_begun or scope["type"] != "http":
                raise
            response = await problem_response(Request(scope, receive), error)
            await response(scope, receive, send)


class JsonBodyLimit:
    """Reads the bodies of JSON routes before the app does, with a limit and a deadline.

    `is_exempt(path)` is true for routes that read their own body.
    """

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float, is_exempt: Callable[[str], bool]) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds
        self._is_exempt = is_exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope) or self._is_exempt(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await read_body(Request(scope, receive), self._limit, self._seconds)
        check_json_text(body)
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


def read_request_id(scope: Scope) -> str:
    """The request id that the client sent, if it may be logged; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            given: str = value.decode()
            if not is_private(given):
                return given
    return token_hex(16)


def log_request(scope: Scope, route: str | None, status: int, began: float) -> None:
    """Write the log line of a request. `route` is its template, `began` is from `perf_counter`."""
    log_info(
        "request",
        request_id=scope["request_id"],
        method="HEAD" if is_head(scope) else scope["method"],
        route=route,
        status=status or None,
        ms=round((perf_counter() - began) * 1000, 2),
        **scope.get(LOG_FIELDS, {}),
    )


def common_headers(*, https_only: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of an answer that brings none of its own about caching and content."""
    return (*_security_headers(https_only=https_only), _NOT_STORED, _CONTENT_SECURITY)


def _security_headers(*, https_only: bool) -> tuple[tuple[bytes, bytes], ...]:
    return (*_SECURITY_HEADERS, _TRANSPORT_SECURITY) if https_only else _SECURITY_HEADERS
