"""Adds the limits to uvicorn's HTTP/1.1 protocol that keep slow or hostile clients from blocking the process.

uvicorn does not limit the size of a request head, a trailer or a pipeline. It has no time limit for a head,
for the rest of a request that was answered early, or for a client that does not read its answer. Here:

opened ──▶ head ──▶ body ──▶ answer ──▶ idle ──▶ head …
HEAD_SECONDS│        │         │          └ uvicorn's keep-alive time-out
            │        │         └ UNREAD_SECONDS in which the client reads nothing
            │        └ the app's limit and deadline; DRAIN_SECONDS if it answers before the end
            └ MAX_HEAD_BYTES bytes, MAX_FIELDS fields

Beyond MAX_CONNECTIONS a new connection ends the one that has waited longest for its client, so that clients
who only hold connections do not lock out others.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from math import inf
from secrets import token_hex
from typing import Any

import httptools
import structlog
from prometheus_client import Counter
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.web.problems import MEDIA_TYPE, HeadTooLarge, Malformed, Problem, RequestTimeout
from app.web.response_writer import ResponseWriter
from app.web.short_exchange import EXCHANGE, ShortExchange

CONNECTIONS_ENDED = Counter(
    "portal_connections_ended",
    "Connections that were ended because of their client: malformed, head-too-large or request-timeout (it "
    "got this answer), silent (nothing came), unfinished (the body did not end after the answer), unread (it "
    "reads no answer), crowded-out (too many connections; this one waited longest for its client).",
    ["reason"],
)


# Of the request line and fields of one request. Also the most that is parsed at once, which bounds the memory
# for an endless head.
MAX_HEAD_BYTES = 16 * 1024
MAX_FIELDS = 100
HEAD_SECONDS = 10.0
HEAD_GRACE_SECONDS = 0.05
# Load balancers keep idle connections for a minute. If we closed first, a request could get lost.
KEEP_ALIVE_SECONDS = 75
# Time for the client to read the answer while it still sends. Closing at once could destroy the answer.
DRAIN_SECONDS = 2.0
# The time for 48 KiB, the distance between uvloop's water marks, if an answer is longer than that.
UNREAD_SECONDS = 30.0
# Together with the pools for PostgreSQL and Digital River below 1024 files, the usual limit of a process.
MAX_CONNECTIONS = 800
# uvicorn stops reading after the first request, but what it has read by then may hold thousands.
MAX_PIPELINED = 16

log = structlog.get_logger("app.connections")


class _Phase(Enum):
    """Which part of a request the next bytes belong to."""

    BETWEEN_REQUESTS = auto()
    HEAD = auto()
    BODY = auto()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. For uvicorn's `http=`, with `ws="none"`: an upgrade would escape these limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.headers = []
        self._phase = _Phase.BETWEEN_REQUESTS
        # Bytes since the last complete piece of a request.
        self._pending = 0
        self._waiting_since = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None
        self._unread_deadline: asyncio.TimerHandle | None = None
        self._refusal: Problem | None = None
        self._ignores_input = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end_in(HEAD_SECONDS, self._allow_grace)
        if len(self.connections) > MAX_CONNECTIONS:
            self._end_oldest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_unread_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        for start in range(0, len(data), MAX_HEAD_BYTES):
            if self._ignores_input:
                return
            self._parse(data[start : start + MAX_HEAD_BYTES])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = _Phase.HEAD
        self._pending = 0
        self._waiting_since = self.loop.time()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_FIELDS:
            self._refusal = HeadTooLarge()
            raise self._refusal
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refusal = Malformed(hint="Too many requests were sent without waiting for an answer.")
            raise self._refusal
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose answer has no second piece
            self.cycle.transport = ResponseWriter(self.transport, self.loop)  # type: ignore[assignment]
            self.scope[EXCHANGE] = ShortExchange(self.cycle, self.transport)  # type: ignore[literal-required]
        self._phase = _Phase.BODY
        self._pending = 0
        self._clear_deadline()
        # Trailer fields arrive through the same callback and must not join the header of a running request.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase = _Phase.BETWEEN_REQUESTS
        self._pending = 0
        if self.cycle.response_complete:
            # The request was answered before its end. The next request may follow it.
            self._clear_deadline()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._waiting_since = self.loop.time()
        if self.transport.is_closing():
            self._await_reading()
        elif self._phase is _Phase.BODY and self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self._end_in(DRAIN_SECONDS, lambda: self._end_for("unfinished"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waiting_since = self.loop.time()
        self._await_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._clear_unread_deadline()

    def timeout_keep_alive_handler(self) -> None:
        # `close` would wait for a client that has not read the last answer.
        self.transport.abort()

    def _parse(self, piece: bytes) -> None:
        self._pending += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # We support no other protocol: answer the request as plain HTTP, then close.
            self._stop_reading()
            return
        except httptools.HttpParserError:
            self._refuse(self._refusal or Malformed(hint="This is not a request of HTTP/1.1."))
            return
        if self._pending > MAX_HEAD_BYTES or len(self.headers) > MAX_FIELDS:
            self._refuse(HeadTooLarge())
        elif self._awaits_head() and self._deadline is None:
            self._end_in(HEAD_SECONDS, self._allow_grace)

    def _awaits_head(self) -> bool:
        """Whether the client must complete a head now. Empty lines before a head have a deadline too."""
        is_idle = self.timeout_keep_alive_task is not None
        return self._phase is _Phase.HEAD or not (self._phase is _Phase.BODY or self._is_serving() or is_idle)

    @property
    def waiting_since(self) -> float:
        """Since when we wait for the client, by the loop's clock. Infinite while the client waits for us."""
        client_waits = (
            self._is_serving() and self._phase is _Phase.BETWEEN_REQUESTS and not self.flow.write_paused
        )
        return inf if client_waits else self._waiting_since

    def _is_serving(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, problem: Problem) -> None:
        """Send the problem if the client waits for this answer, and end the connection."""
        if self.transport.is_closing():
            return
        CONNECTIONS_ENDED.labels(problem.slug).inc()
        if self._is_serving() and self._phase is not _Phase.BODY:
            # The client waits for the answers to complete requests that came before.
            self._stop_reading()
            return
        self._ignores_input = True
        is_awaited = self._phase is not _Phase.BODY
        if self._is_serving():
            is_awaited = not (self.pipeline or self.cycle.response_started)
            # The app sees a disconnected client, and uvicorn drops what it sends from now on.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if is_awaited:
            self.transport.write(self._answer(problem))
            self._end_in(DRAIN_SECONDS, self.transport.abort)
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self.transport.abort()

    def _stop_reading(self) -> None:
        """Answer the requests up to here, then close."""
        self._ignores_input = True
        self._clear_deadline()
        self.cycle.keep_alive = False

    def _answer(self, problem: Problem) -> bytes:
        request_id = token_hex(16)
        log.warning("connection.refused", request_id=request_id, status=problem.status, problem=problem.slug)
        body = problem.document(request_id=request_id).model_dump_json(exclude_none=True).encode()
        lines = [
            b"HTTP/1.1 %d %s" % (problem.status, HTTPStatus(problem.status).phrase.encode()),
            *(b"%s: %s" % header for header in self.server_state.default_headers),
            b"content-type: " + MEDIA_TYPE.encode(),
            b"content-length: %d" % len(body),
            b"x-request-id: " + request_id.encode(),
            b"cache-control: private, no-store",
            b"connection: close",
        ]
        return b"\r\n".join([*lines, b"", body])

    def _end_oldest(self) -> None:
        """End the connection that has waited longest for its client, or this one if no other waits."""
        candidates = (other for other in self.connections if isinstance(other, BoundedProtocol))
        oldest = min(candidates, key=lambda other: other.waiting_since)
        CONNECTIONS_ENDED.labels("crowded-out").inc()
        self.connections.discard(oldest)
        oldest.transport.abort()

    def _end_in(self, seconds: float, end: Callable[[], None]) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(seconds, end)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _await_reading(self) -> None:
        self._clear_unread_deadline()
        self._unread_deadline = self.loop.call_later(UNREAD_SECONDS, lambda: self._end_for("unread"))

    def _clear_unread_deadline(self) -> None:
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None

    def _allow_grace(self) -> None:
        """Check again shortly after: timers fire before sockets are read, so the head may have arrived."""
        self._end_in(HEAD_GRACE_SECONDS, self._end_late_head)

    def _end_late_head(self) -> None:
        if self._phase is _Phase.HEAD:
            self._refuse(RequestTimeout(hint=f"The header was not complete after {HEAD_SECONDS:g} seconds."))
        else:
            self._end_for("silent")

    def _end_for(self, reason: str) -> None:
        CONNECTIONS_ENDED.labels(reason).inc()
        self.transport.abort()
