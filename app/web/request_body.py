"""Reading a body that a stranger sends: never beyond a limit, never past a deadline, never inflated."""

import asyncio
import re
from collections.abc import AsyncGenerator

from starlette.requests import ClientDisconnect, Request

from app.web.problems import Malformed, RequestTimeout, TooLarge, UnsupportedMedia

# The JSON escapes of a text from left to right: a whole pair of surrogates, one that cannot stand, any other.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<refused>\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2}))"
    rb"|\\.",
    re.DOTALL,
)


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The whole body, at most `limit` bytes, arrived within `seconds`.

    Raises:
        UnsupportedMedia: the body is compressed; a small one could unfold into a huge one.
        TooLarge: it is, or announces to be, longer than `limit`.
        RequestTimeout: it was not complete in time.
        Malformed: the sender went away, or its Content-Length is no number.
    """
    try:
        async with asyncio.timeout(seconds):
            parts = [part async for part in stream_body(request, limit)]
    except TimeoutError:
        raise late(f"The body was not complete after {seconds:g} seconds.") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def stream_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, at most `limit` bytes; the caller bounds the time.

    Raises:
        UnsupportedMedia, TooLarge, Malformed: as `read_body` does.
    """
    _check_announced(request, limit)
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            if part:
                yield part
    except ClientDisconnect:
        raise Malformed(hint="The connection ended before the body was complete.") from None


def late(hint: str) -> RequestTimeout:
    """The rest of a late body is not waited for: its connection ends with the answer (RFC 9110, 15.5.9)."""
    return RequestTimeout(hint=hint, headers={"Connection": "close"})


def require_text(body: bytes) -> None:
    """Let pass only bytes whose JSON texts can be stored and sent back.

    Python's parser takes other encodings, U+0000 and halves of surrogate pairs; PostgreSQL takes none.

    Raises:
        Malformed: the body is not UTF-8, or holds such a character, plainly or as an escape.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Malformed(hint="The body is not UTF-8 text.") from None
    escapes = _ESCAPES.finditer(body) if b"\\u" in body else ()
    if b"\0" in body or any(escape["refused"] for escape in escapes):
        raise Malformed(hint="The body holds U+0000 or half of a surrogate pair, which no text can hold.")


def _check_announced(request: Request, limit: int) -> None:
    headers = request.headers
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia(hint="Send the body without Content-Encoding.")
    if (announced := headers.get("content-length")) is not None:
        if not (announced.isascii() and announced.isdigit()):
            raise Malformed(hint="Content-Length is not a number.")
        if len(announced.lstrip("0")) > len(str(limit)) or int(announced) > limit:
            raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(hint=f"The body may have at most {limit} bytes.")
