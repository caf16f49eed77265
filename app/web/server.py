"""The door of the process: uvicorn's HTTP/1.1, with an end to everything that a client could draw out.

uvicorn itself bounds no request head, no trailer and no pipeline, waits for a head and for the rest of an
answered request without end, and for a client that takes no answer too. Here each of these has a limit:

opened ──▶ head ──▶ body ──▶ answer ──▶ idle ──▶ head …
HEAD_SECONDS│        │         │          └ uvicorn's keep-alive time-out
            │        │         └ UNREAD_SECONDS without the client taking any of it
            │        └ the app's own limit and deadline; DRAIN_SECONDS when it answers before the end
            └ MAX_HEAD bytes, MOST_FIELDS fields

Beyond MOST_CONNECTIONS the connection that has waited longest for its client gives way to the new one, so
that clients who only hold connections keep nobody out.
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

ENDED = Counter(
    "portal_connections_ended",
    "Connections that were ended because of their client: malformed, head-too-large or request-timeout (told "
    "so), silent (nothing came), unfinished (a body whose request was answered long ago), unread (the client "
    "takes no answer), crowded-out (the oldest that waited for its client, when there were too many).",
    ["reason"],
)


# Request line and fields of one request. Also how much is parsed at once, which bounds what is kept of a head
# that has no end.
MAX_HEAD = 16 * 1024
MOST_FIELDS = 100
HEAD_SECONDS = 10.0
LAST_LOOK_SECONDS = 0.05
# Load balancers keep idle connections for a minute; closing first would lose a request now and then.
KEEP_ALIVE_SECONDS = 75
# For the answer to be read while the client still sends: closing at once could destroy it on its way.
DRAIN_SECONDS = 2.0
# For 48 KiB, the distance between uvloop's water marks, when an answer is longer than that.
UNREAD_SECONDS = 30.0
# With pools of PostgreSQL and of the far side this stays below 1024 files, the usual limit of a process.
MOST_CONNECTIONS = 800
# uvicorn stops reading after the first; what it has read by then may hold thousands.
MOST_PIPELINED = 16

log = structlog.get_logger("app.connections")


class _Phase(Enum):
    """Which part of a request the next bytes belong to."""

    BETWEEN = auto()
    HEAD = auto()
    BODY = auto()


class BoundedProtocol(HttpToolsProtocol):
    """One connection. For uvicorn's `http=`, with `ws="none"`: an upgrade would leave these limits behind."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.headers = []
        self._phase = _Phase.BETWEEN
        # Bytes since the last piece of a request that was whole.
        self._pending = 0
        self._waits_since = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._refusal: Problem | None = None
        self._is_deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end_in(HEAD_SECONDS, self._look_once_more)
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        for start in range(0, len(data), MAX_HEAD):
            if self._is_deaf:
                return
            self._parse(data[start : start + MAX_HEAD])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = _Phase.HEAD
        self._pending = 0
        self._waits_since = self.loop.time()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD or len(self.headers) > MOST_FIELDS:
            self._refusal = HeadTooLarge()
            raise self._refusal
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refusal = Malformed(hint="Too many requests were sent without waiting for an answer.")
            raise self._refusal
        super().on_headers_complete()
        self._phase = _Phase.BODY
        self._pending = 0
        self._clear_deadline()
        # Trailer fields arrive through the same callback; they must not join the header of a running request.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._phase = _Phase.BETWEEN
        self._pending = 0
        if self.cycle.response_complete:
            # It had been answered before its end, and may be followed by the next one after all.
            self._clear_deadline()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._waits_since = self.loop.time()
        if self.transport.is_closing():
            self._expect_reading()
        elif self._phase is _Phase.BODY and self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self._end_in(DRAIN_SECONDS, lambda: self._end_for("unfinished"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waits_since = self.loop.time()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._clear_unread()

    def timeout_keep_alive_handler(self) -> None:
        # Not `close`, which would wait for a client that has not even read the last answer.
        self.transport.abort()

    def _parse(self, piece: bytes) -> None:
        self._pending += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here: answered as if it had not been asked for, and then closed.
            self._listen_no_longer()
            return
        except httptools.HttpParserError:
            self._refuse(self._refusal or Malformed(hint="This is not a request of HTTP/1.1."))
            return
        if self._pending > MAX_HEAD or len(self.headers) > MOST_FIELDS:
            self._refuse(HeadTooLarge())
        elif self._expects_head() and self._deadline is None:
            self._end_in(HEAD_SECONDS, self._look_once_more)

    def _expects_head(self) -> bool:
        """Whether the client has begun a head. Empty lines before one are allowed, but not for ever."""
        is_idle = self.timeout_keep_alive_task is not None
        return self._phase is _Phase.HEAD or not (self._phase is _Phase.BODY or self._is_in_hand() or is_idle)

    @property
    def waits_since(self) -> float:
        """Since when we wait for this client, on the loop's clock; infinite while the client waits for us."""
        is_ours = self._is_in_hand() and self._phase is _Phase.BETWEEN and not self.flow.write_paused
        return inf if is_ours else self._waits_since

    def _is_in_hand(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, problem: Problem) -> None:
        """Tell the client, if this is the answer that it waits for, and end the connection."""
        if self.transport.is_closing():
            return
        ENDED.labels(problem.slug).inc()
        if self._is_in_hand() and self._phase is not _Phase.BODY:
            # Complete requests came before: theirs are the answers that are waited for.
            self._listen_no_longer()
            return
        self._is_deaf = True
        is_awaited = self._phase is not _Phase.BODY
        if self._is_in_hand():
            is_awaited = not (self.pipeline or self.cycle.response_started)
            # The app is told that the client has gone, and what it says from now on goes nowhere.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if is_awaited:
            self.transport.write(self._answer(problem))
            self._end_in(DRAIN_SECONDS, self.transport.abort)
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self.transport.abort()

    def _listen_no_longer(self) -> None:
        """Answer what was asked up to here, then close."""
        self._is_deaf = True
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

    def _make_room(self) -> None:
        """End the connection that has waited longest for its client; this one, if no other waits."""
        ours = (one for one in self.connections if isinstance(one, BoundedProtocol))
        oldest = min(ours, key=lambda one: one.waits_since)
        ENDED.labels("crowded-out").inc()
        self.connections.discard(oldest)
        oldest.transport.abort()

    def _end_in(self, seconds: float, end: Callable[[], None]) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(seconds, end)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expect_reading(self) -> None:
        self._clear_unread()
        self._unread = self.loop.call_later(UNREAD_SECONDS, lambda: self._end_for("unread"))

    def _clear_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _look_once_more(self) -> None:
        """Timers go off before sockets are read: what came while this process was busy is not late."""
        self._end_in(LAST_LOOK_SECONDS, self._end_late_head)

    def _end_late_head(self) -> None:
        if self._phase is _Phase.HEAD:
            self._refuse(RequestTimeout(hint=f"The header was not complete after {HEAD_SECONDS:g} seconds."))
        else:
            self._end_for("silent")

    def _end_for(self, reason: str) -> None:
        ENDED.labels(reason).inc()
        self.transport.abort()
