"""Sends one request with aiohttp and receives its response; turns aiohttp's exceptions into our errors.

docs/decisions/aiohttp-without-httpx.md says why httpx only encodes the uploads.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Protocol, cast
from urllib.parse import urlencode

import aiohttp
import httpx

from app.digital_river.client.request import Call, Deadlines
from app.digital_river.errors import Garbled, Unavailable
from app.settings import Settings

APPLICATION = f"digital-river-portal/{version('digital-river-portal')}"
KEEPALIVE_SECONDS = 15.0
CHUNK_BYTES = 16 * 1024
SUCCESS = range(200, 300)

# Raised by a call that brings no complete response.
TRANSPORT_ERRORS = (aiohttp.ClientError, zlib.error, OSError)

Body = bytes | AsyncIterable[bytes] | None


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose body is not read yet. The names of its headers are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    # As it was sent, perhaps compressed.
    body: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed. Reading it may raise TRANSPORT_ERRORS."""
        is_compressed = self.headers.get("content-encoding", "").lower() == "gzip"
        return _decompress(self.body) if is_compressed else self.body


class Transport(Protocol):
    """What sends a request; tests replace the network by another one."""

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> Response:
        """The response as soon as its headers are there. Raises TRANSPORT_ERRORS."""

    async def aclose(self) -> None:
        """Close all connections."""


class AiohttpTransport:
    """The network, with a pool of at most `max_connections` connections. It follows no redirect and keeps no
    cookie, because one client serves all buyers."""

    def __init__(self, max_connections: int, deadlines: Deadlines) -> None:
        connector = aiohttp.TCPConnector(
            ssl=httpx.create_ssl_context(), limit=max_connections, keepalive_timeout=KEEPALIVE_SECONDS
        )
        timeout = aiohttp.ClientTimeout(
            sock_connect=deadlines.connect, connect=deadlines.pool, sock_read=deadlines.read
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            auto_decompress=False,
        )

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> Response:
        response = await self._session.request(method, url, headers=headers, data=body, allow_redirects=False)
        return Response(
            response.status,
            response.headers,
            response.content.iter_chunked(CHUNK_BYTES),
            partial(response.__aexit__, None, None, None),
        )

    async def aclose(self) -> None:
        await self._session.close()


class Sender:
    """Sends calls with our key through a transport."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._transport = transport
        self._base_url = settings.digital_river_url.rstrip("/")
        self._headers = {
            "authorization": f"Bearer {settings.digital_river_secret_key.get_secret_value()}",
            "digitalriver-version": settings.digital_river_version,
            "upstream-application-id": APPLICATION,
            "user-agent": APPLICATION,
            "accept": "application/json",
            "accept-encoding": "gzip",
        }

    async def send(self, call: Call) -> Response:
        """Send the call once. The caller reads the response and closes it. Raises TRANSPORT_ERRORS."""
        query = urlencode(call.query())
        url = f"{self._base_url}{call.path.text}{'?' if query else ''}{query}"
        headers, body = _encode_body(call)
        return await self._transport.send(
            call.method, url, {**self._headers, **call.headers, **headers}, body
        )


def _encode_body(call: Call) -> tuple[Mapping[str, str], Body]:
    if call.upload is not None:
        form = httpx.Request(call.method, "", data=call.fields, files=call.files())
        headers = {name: value for name, value in form.headers.items() if name.startswith("content-")}
        return headers, cast(AsyncIterable[bytes], form.stream)
    if call.json is None:
        return {}, None
    text = json.dumps(call.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return {"content-type": "application/json"}, text.encode()


def to_error(error: Exception, request_id: str | None = None) -> Unavailable | Garbled:
    """Our error for one of TRANSPORT_ERRORS, or for a time-out."""
    if isinstance(error, zlib.error):
        return Garbled("the answer cannot be decompressed", request_id=request_id)
    reason = f"connection failed: {type(error).__name__}"
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
        reason = "no answer within the deadline"
    was_sent = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return Unavailable(reason, sent=was_sent, request_id=request_id)


async def _decompress(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    async for chunk in chunks:
        yield decompressor.decompress(chunk)
    yield decompressor.flush()


async def stream_chunks(response: Response, seconds: float) -> AsyncGenerator[bytes, None]:
    """The body as it arrives.

    Raises:
        Unavailable, Garbled: no chunk came for `seconds`, the connection broke, or decompression failed.
    """
    pieces = response.chunks()
    while True:
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TRANSPORT_ERRORS as error:
            raise to_error(error) from None
        yield piece
