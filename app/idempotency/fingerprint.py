"""Compares requests by digests that are made while the body streams, so that no upload is held in memory."""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header
from starlette.types import Message, Receive

from app.web.problems import Malformed, RequestTimeout

# Replaces the boundary of a multipart body in the digest, because browsers choose a new one for each attempt.
_BOUNDARY_PLACEHOLDER = b"\0boundary\0"
# The limit of a JSON route. A longer body is compared byte by byte.
MAX_JSON_BYTES = 1024 * 1024
# Up to this integer every integer has a float of its own.
_MAX_EXACT_INTEGER = 2**53


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What two requests are compared by. All of it is without the boundaries of a multipart body.

    `request_digest` covers the query and the meaning of the body. It is None if an older release stored it.
    """

    body_digest: bytes
    body_size: int
    request_digest: bytes | None

    def matches(self, stored: "Fingerprint") -> bool:
        """Whether this request is the same as the stored one."""
        if stored.request_digest is None:
            return (self.body_digest, self.body_size) == (stored.body_digest, stored.body_size)
        return self.request_digest == stored.request_digest


class FingerprintedBody:
    """Makes the fingerprint of a request while the route reads its body through `receive`."""

    def __init__(self, receive: Receive, content_type: str, query: str = "") -> None:
        self._receive = receive
        self._query = query
        self._json = bytearray() if _is_json(content_type) else None
        self._hash = hashlib.sha256()
        self._size = 0
        self._boundary = _boundary(content_type)
        # Bytes that may be the start of a boundary; the next part decides.
        self._unmatched = b""
        self.is_complete = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not self.is_complete:
            self._add(message.get("body", b""))
            if not message.get("more_body", False):
                self._update(self._unmatched)
                self.is_complete = True
        return message

    async def read_rest(self, *, at_most: int, seconds: float) -> None:
        """Read on until the end of the body, or until more than `at_most` bytes of it have been read.

        Raises:
            RequestTimeout: neither happened within `seconds`.
            Malformed: the client closed the connection.
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
        """The fingerprint of what has been read so far. It is the request's own once `is_complete`."""
        digest = self._hash.digest()
        meaning = digest if self._json is None else hashlib.sha256(_canonical(self._json)).digest()
        query = json.dumps(sorted(parse_qsl(self._query, keep_blank_values=True)))
        return Fingerprint(digest, self._size, hashlib.sha256(query.encode() + meaning).digest())

    def _add(self, part: bytes) -> None:
        if not self._boundary:
            self._update(part)
            return
        *pieces, rest = (self._unmatched + part).split(self._boundary)
        for piece in pieces:
            self._update(piece)
            self._hash.update(_BOUNDARY_PLACEHOLDER)
        cut = max(0, len(rest) - len(self._boundary) + 1)
        self._update(rest[:cut])
        self._unmatched = rest[cut:]

    def _update(self, part: bytes) -> None:
        self._hash.update(part)
        self._size += len(part)
        if self._json is not None:
            self._json += part
            if self._size > MAX_JSON_BYTES:
                self._json = None


def _boundary(content_type: str) -> bytes:
    """The boundary of a multipart body; empty for other content types."""
    media_type, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if media_type.startswith(b"multipart/") else b""


def _is_json(content_type: str) -> bool:
    media_type = parse_options_header(content_type)[0]
    return media_type == b"application/json" or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )


def _canonical(body: bytes | bytearray) -> bytes:
    """The same bytes for the same JSON value: the order of members, white space, escapes and the spelling of
    numbers do not matter. A body that is not JSON stays as it is."""
    try:
        return json.dumps(json.loads(body, parse_float=_number), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return bytes(body)


def _number(text: str) -> float:
    """The number as the routes read it: 1.0 and 1e0 are 1 (RFC 8785 §3.2.2.3)."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT_INTEGER else number
