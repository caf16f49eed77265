"""Is it the same body? Answered while it goes by, so that an upload is never held in memory."""

import asyncio
import hashlib
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.types import Message, Receive

from app.web.problems import Malformed, RequestTimeout

# Stands in the digest for the boundary of a multipart body: browsers choose another one for each attempt.
_BOUNDARY_MARK = b"\0boundary\0"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What two bodies are compared by: SHA-256 and size, both without the boundaries of a multipart body."""

    digest: bytes
    size: int


class WatchedBody:
    """A request's body on its way to whoever reads it; `receive` takes the place of the server's."""

    def __init__(self, receive: Receive, content_type: str) -> None:
        self._receive = receive
        self._hash = hashlib.sha256()
        self._size = 0
        self._boundary = _boundary(content_type)
        # What may be the beginning of a boundary whose end has not come yet.
        self._held_back = b""
        self.is_complete = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not self.is_complete:
            self._take(message.get("body", b""))
            if not message.get("more_body", False):
                self._digest(self._held_back)
                self.is_complete = True
        return message

    async def read_on(self, *, at_most: int, seconds: float) -> None:
        """Let the rest go by, until its end or until more than `at_most` bytes have passed.

        Raises:
            RequestTimeout: neither happened within `seconds`.
            Malformed: the sender went away.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self.is_complete and self._size <= at_most:
                    if (await self.receive())["type"] == "http.disconnect":
                        raise Malformed(hint="The connection ended before the body was complete.")
        except TimeoutError:
            raise RequestTimeout(hint=f"The body was not complete after {seconds:g} seconds.") from None

    @property
    def fingerprint(self) -> Fingerprint:
        """Of what has gone by so far; of the body, when that is complete."""
        return Fingerprint(self._hash.digest(), self._size)

    def _take(self, part: bytes) -> None:
        if not self._boundary:
            self._digest(part)
            return
        *pieces, rest = (self._held_back + part).split(self._boundary)
        for piece in pieces:
            self._digest(piece)
            self._hash.update(_BOUNDARY_MARK)
        cut = max(0, len(rest) - len(self._boundary) + 1)
        self._digest(rest[:cut])
        self._held_back = rest[cut:]

    def _digest(self, part: bytes) -> None:
        self._hash.update(part)
        self._size += len(part)


def _boundary(content_type: str) -> bytes:
    """The boundary of a multipart body; empty for every other kind."""
    kind, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if kind.startswith(b"multipart/") else b""
