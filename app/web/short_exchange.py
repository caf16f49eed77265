"""Takes a body that has arrived as a whole, and sends an answer in one piece, without the messages of ASGI.

For a request in one packet uvicorn sets and clears an event, makes three messages, and checks and joins each
header field anew; a reader of messages needs a deadline. To do without saves a tenth of the CPU time of an
accepted webhook.
"""

import asyncio
import weakref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

EXCHANGE = "portal_short_exchange"
"""Where the server leaves the `ShortExchange` of a request, in its scope. Other servers leave none."""


class ShortExchange:
    """The short way for one request. If a method returns None or False, it did nothing: use ASGI's way."""

    __slots__ = ("_cycle", "_transport")

    def __init__(self, cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
        # The cycle holds the scope, which holds this. Without a weak reference, each request would leave both
        # to the garbage collector.
        self._cycle: RequestResponseCycle = weakref.proxy(cycle)
        self._transport = transport

    def take_body(self) -> bytes | None:
        """The whole body, if it is here; the first call only. Do not call it after `receive`, which may have
        taken a part."""
        cycle = self._cycle
        is_here = not cycle.more_body and cycle.message_event.is_set()
        if not is_here or cycle.disconnected or cycle.response_started or cycle.waiting_for_100_continue:
            return None
        # As after `receive`: the next event is that the client has disconnected.
        cycle.flow.resume_reading()
        cycle.message_event.clear()
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Send the whole answer. `fields` are complete lines: with Content-Length, without line ends in a
        value and without Connection. False if the client has gone, reads slowly, or wants to close."""
        cycle = self._cycle
        if cycle.disconnected or cycle.response_started or cycle.flow.write_paused or not cycle.keep_alive:
            return False
        cycle.response_started = cycle.response_complete = True
        defaults = b"".join([b"%s: %s\r\n" % field for field in cycle.default_headers])
        self._transport.write(b"".join((STATUS_LINE[status], defaults, fields, b"\r\n", body)))
        cycle.message_event.set()
        cycle.on_response()
        return True
