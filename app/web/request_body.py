"""Reads a request body within a size limit and a deadline, and without decompressing it."""

import asyncio
import re
from collections.abc import AsyncGenerator

from starlette.requests import Request

from app.web.problems import Malformed, RequestTimeout, TooLarge, UnsupportedMedia
from app.web.short_exchange import EXCHANGE, ShortExchange

# The escapes of JSON texts, in this order: a pair of surrogates, U+0000 or a lone surrogate, any other.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<refused>\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2}))"
    rb"|\\.",
    re.DOTALL,
)


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The whole body, at most `limit` bytes, arrived within `seconds`.

    Raises:
        UnsupportedMedia: the body is compressed; a small one could expand into a huge one.
        TooLarge: the body, or its Content-Length, exceeds `limit`.
        RequestTimeout: the body was not complete in time.
        Malformed: the client closed the connection, or Content-Length is not a number.
    """
    exchange: ShortExchange | None = request.scope.get(EXCHANGE)
    arrived = exchange.take_body() if exchange else None
    if arrived is not None:
        _check_headers(request, limit)
        if len(arrived) > limit:
            raise _too_large(limit)
        return arrived
    try:
        async with asyncio.timeout(seconds):
            parts = [part async for part in stream_body(request, limit)]
    except TimeoutError:
        raise body_timeout(f"The body was not complete after {seconds:g} seconds.") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def stream_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, at most `limit` bytes. The caller sets the deadline.

    Raises:
        UnsupportedMedia, TooLarge, Malformed: as in `read_body`.
    """
    _check_headers(request, limit)
    size, is_complete = 0, False
    while not is_complete:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Malformed(hint="The connection ended before the body was complete.")
        part: bytes = message.get("body", b"")
        is_complete = not message.get("more_body", False)
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if part:
            yield part


def body_timeout(hint: str) -> RequestTimeout:
    """A 408 that closes the connection, because the rest of the body may still arrive (RFC 9110 §15.5.9)."""
    return RequestTimeout(hint=hint, headers={"Connection": "close"})


def check_json_text(body: bytes) -> None:
    """Check that PostgreSQL can store the texts of a JSON body.

    Python's parser accepts other encodings, U+0000 and lone surrogates. PostgreSQL accepts none of them.

    Raises:
        Malformed: the body is not UTF-8, or holds such a character, as itself or as an escape.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Malformed(hint="The body is not UTF-8 text.") from None
    escapes = _ESCAPES.finditer(body) if b"\\u" in body else ()
    if b"\0" in body or any(escape["refused"] for escape in escapes):
        raise Malformed(hint="The body holds U+0000 or half of a surrogate pair, which no text can hold.")


def _check_headers(request: Request, limit: int) -> None:
    for name, value in request.scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() != b"identity":
            raise UnsupportedMedia(hint="Send the body without Content-Encoding.")
        if name == b"content-length":
            if not value.isdigit():
                raise Malformed(hint="Content-Length is not a number.")
            if len(value.lstrip(b"0")) > len(str(limit)) or int(value) > limit:
                raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(hint=f"The body may have at most {limit} bytes.")
