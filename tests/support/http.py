"""The HTTP client of the tests."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

# aiohttp warns of a larger body in one piece.
_LARGEST_PIECE = 1024 * 1024
_ADDED_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except aiohttp.SocketTimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError(str(error)) from error


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._answer.release()


class _Transport(httpx.AsyncBaseTransport):
    """aiohttp's connections below httpx: a request costs the client half the CPU time, and the suite sends
    tens of thousands. It sends what httpx has made: no header more, and the path as it was written."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_ADDED_HEADERS,
            auto_decompress=False,
        )
        # As aiohttp's own test client: a connection that breaks is what some tests wait for.
        self._session._retry_connection = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers, seconds = CIMultiDict(request.headers.multi_items()), request.extensions["timeout"]
        is_chunked = headers.pop("transfer-encoding", None) is not None
        is_large = is_chunked or int(headers.get("content-length", 0)) > _LARGEST_PIECE
        body: Any = request.stream if is_large else await request.aread() or None
        with _errors_of_httpx():
            answer = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=seconds["connect"], sock_read=seconds["read"]),
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        await self._session.close()


@asynccontextmanager
async def http_client(url: str, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server at `url` on this machine, by default with a time-out of ten seconds."""
    settings = {"timeout": 10, **options}
    async with httpx.AsyncClient(base_url=url, transport=_Transport(), **settings) as client:
        yield client
