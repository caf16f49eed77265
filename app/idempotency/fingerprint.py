"""Is it the same request? Answered while its body goes by, so that an upload is never held in memory."""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.types import Message, Receive

from app.web.problems import Malformed, RequestTimeout

# Stands in the digest for the boundary of a multipart body: browsers choose another one for each attempt.
_BOUNDARY_MARK = b"\0boundary\0"
# As much as a JSON route takes at all. What is longer is compared byte by byte.
MOST_JSON = 1024 * 1024
# Beyond it not every integer has a float of its own.
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What two requests are compared by: SHA-256 and size of their bodies, both without the boundaries of a
    multipart body; and `request`, a digest of query and meaning, None where an older release has kept it."""

    digest: bytes
    size: int
    request: bytes | None

    def is_of_same_request(self, kept: "Fingerprint") -> bool:
        """Whether the request of the `kept` one was this one."""
        if kept.request is None:
            return (self.digest, self.size) == (kept.digest, kept.size)
        return self.request == kept.request


class WatchedBody:
    """A request's body on its way to whoever reads it; `receive` takes the place of the server's."""

    def __init__(self, receive: Receive, content_type: str, query: str = "") -> None:
        self._receive = receive
        self._query = query
        self._json = bytearray() if _is_json(content_type) else None
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
        """Of what has gone by so far; of the request, when its body is complete."""
        digest = self._hash.digest()
        meaning = digest if self._json is None else hashlib.sha256(_canonical(self._json)).digest()
        query = json.dumps(sorted(parse_qsl(self._query, keep_blank_values=True)))
        return Fingerprint(digest, self._size, hashlib.sha256(query.encode() + meaning).digest())

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
        if self._json is not None:
            self._json += part
            if self._size > MOST_JSON:
                self._json = None


def _boundary(content_type: str) -> bytes:
    """The boundary of a multipart body; empty for every other kind."""
    kind, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if kind.startswith(b"multipart/") else b""


def _is_json(content_type: str) -> bool:
    kind = parse_options_header(content_type)[0]
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _canonical(body: bytes | bytearray) -> bytes:
    """One spelling for all of the same JSON: whatever the order of members, white space, escapes, and how
    numbers are written. What is no JSON stays as it is."""
    try:
        return json.dumps(json.loads(body, parse_float=_number), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return bytes(body)


def _number(text: str) -> float:
    """As the routes read it, with 1.0 and 1e0 as 1 (RFC 8785 §3.2.2.3: by value)."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number
