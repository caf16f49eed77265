"""The only door to Digital River: every call leaves here, in turn, with a deadline, and comes back typed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from types import MappingProxyType
from typing import TypeVar

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from app.digital_river.client import call_log
from app.digital_river.client.connections import Connections
from app.digital_river.client.error_responses import error_of, read_answer
from app.digital_river.client.gate import ClientStatus, Gate
from app.digital_river.client.request import USUAL_DEADLINES, Call, Deadlines, Download, Params, Path, Upload
from app.digital_river.client.responses import ModelT, parse, read_whole
from app.digital_river.errors import (
    BreakerOpen,
    DigitalRiverError,
    Garbled,
    Missing,
    NoConnectionFree,
    Throttled,
    Unavailable,
)
from app.settings import Settings

APPLICATION = f"digital-river-portal/{version('digital-river-portal')}"
MOST_CONNECTIONS = 100
KEEPALIVE_SECONDS = 15.0
LARGEST_JSON = 8 * 1024 * 1024
LARGEST_ERROR = 64 * 1024

_T = TypeVar("_T")

# What a call that brings no whole answer raises; httpx-aiohttp lets some of aiohttp's own errors through.
_BROKEN = (httpx.HTTPError, aiohttp.ClientError, OSError)


class DigitalRiverClient:
    """Calls to Digital River with our key; whatever goes wrong there is a DigitalRiverError.

    GET, HEAD and DELETE are repeated up to twice on Unavailable, POST only when no connection was made, all
    within one total deadline. A 429 pauses everybody; an interactive call sits out a pause that is shorter
    than its deadline.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        gate: Gate,
        connections: Connections,
        deadlines: Deadlines,
        *,
        is_background: bool = False,
    ) -> None:
        self._client = client
        self._gate = gate
        self._connections = connections
        self._deadlines = deadlines
        self._is_background = is_background

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        handler: httpx.AsyncBaseTransport | None = None,
        deadlines: Deadlines = USUAL_DEADLINES,
        most_connections: int = MOST_CONNECTIONS,
    ) -> AsyncIterator["DigitalRiverClient"]:
        """A transport for the life of the process; `handler` takes the network's place in tests."""
        # httpx logs every URL at INFO, and ours name customers.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        gate = Gate(settings.requests_per_second)
        try:
            network = handler or _network(most_connections)
            async with _client(settings, deadlines, network) as client:
                yield cls(client, gate, Connections(most_connections), deadlines)
        finally:
            gate.close()

    @property
    def background(self) -> "DigitalRiverClient":
        """The same door for work that nobody waits for: at most half of the budget, after all others."""
        return DigitalRiverClient(
            self._client, self._gate, self._connections, self._deadlines, is_background=True
        )

    def status(self) -> ClientStatus:
        """How the far side looks from this process."""
        return self._gate.status()

    async def fetch_json(
        self,
        method: str,
        path: Path,
        *,
        params: Params | None = None,
        body: Mapping[str, object] | None = None,
        model: type[ModelT],
        expected: Mapping[str, str] = MappingProxyType({}),
        required: Mapping[str, str] = MappingProxyType({}),
    ) -> ModelT:
        """Call and read the JSON answer into `model`; for `expected` and `required` see `answers.parse`."""
        call = Call(method, path, self._deadlines.total, params, body)
        return await self._call(call, _reader(model, path, expected, required))

    async def fetch_nothing(self, method: str, path: Path) -> None:
        """Call and ignore what a 2xx says."""
        call = Call(method, path, self._deadlines.total)
        try:
            await self._call(call, httpx.Response.aclose)
        except Missing:
            # The first DELETE may have worked although its answer was lost: gone is what was asked for.
            if call.method != "DELETE" or call.attempts == 1:
                raise

    async def upload(
        self, path: Path, *, fields: Mapping[str, str], upload: Upload, model: type[ModelT]
    ) -> ModelT:
        """POST a form whose file is read while it is sent."""
        call = Call("POST", path, self._deadlines.upload, fields=fields, upload=upload)
        return await self._call(call, _reader(model, path, {}))

    @asynccontextmanager
    async def stream(self, path: Path) -> AsyncIterator[Download]:
        """GET a file as it arrives; entering raises unless the answer is 2xx."""
        async with self._connections.one(patience=self._deadlines.pool):
            call = Call("GET", path, self._deadlines.total, has_connection=True)
            call.headers |= {"accept": "*/*", "accept-encoding": "identity"}
            response = await self._call(call, _as_it_is)
            try:
                async with aclosing(_chunks(response, self._deadlines.read)) as chunks:
                    length = response.headers.get("content-length", "")
                    is_plain = length.isdigit() and "content-encoding" not in response.headers
                    yield Download(
                        response.headers.get("content-type"), int(length) if is_plain else None, chunks
                    )
            finally:
                await response.aclose()

    async def _call(self, call: Call, receive: Callable[[httpx.Response], Awaitable[_T]]) -> _T:
        clock = asyncio.get_running_loop().time
        deadline = clock() + call.seconds
        while True:
            await self._gate.wait(background=self._is_background, deadline=deadline)
            call.attempts += 1
            try:
                async with self._connection_for(call, deadline):
                    return await self._attempt(call, deadline, receive)
            except (BreakerOpen, NoConnectionFree):
                raise
            except Throttled as error:
                self._gate.pause(error.retry_after)
                # A 429 is given before the backend (API basics, rate limits): nothing happened.
                if self._is_background or not call.may_repeat(nothing_happened=True):
                    raise
            except Unavailable as error:
                delay = call.delay(error.retry_after)
                if not call.may_repeat(nothing_happened=not error.sent) or clock() + delay >= deadline:
                    raise
                await asyncio.sleep(delay)

    async def _attempt(
        self, call: Call, deadline: float, receive: Callable[[httpx.Response], Awaitable[_T]]
    ) -> _T:
        route = call.path.template
        with self._gate.watch(), call_log.entry(call.method, route, call.attempts) as entry:
            try:
                async with asyncio.timeout_at(deadline):
                    response = await self._client.send(self._request(call), stream=True)
                    return await _received(response, receive, entry)
            except DigitalRiverError as error:
                error.request_id = entry.facts.get("dr_request_id")
                raise
            except _BROKEN as error:
                entry.facts["failure"] = type(error.__cause__ or error).__name__
                # Without its cause: clients put the whole URL into their messages.
                raise _failure(error, entry.facts.get("dr_request_id")) from None

    def _connection_for(self, call: Call, deadline: float) -> AbstractAsyncContextManager[None]:
        if call.has_connection:
            return nullcontext()
        left = deadline - asyncio.get_running_loop().time()
        return self._connections.one(patience=min(self._deadlines.pool, left))

    def _request(self, call: Call) -> httpx.Request:
        return self._client.build_request(
            call.method,
            call.path.text,
            params=httpx.QueryParams(call.query()),
            json=call.json,
            data=call.fields,
            files=call.files(),
            headers=call.headers,
        )


def _client(settings: Settings, deadlines: Deadlines, handler: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=handler,
        base_url=settings.digital_river_url,
        follow_redirects=False,
        # One client serves all buyers: it must remember nothing.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(
            connect=deadlines.connect, pool=deadlines.pool, read=deadlines.read, write=deadlines.read
        ),
        headers={
            "authorization": f"Bearer {settings.digital_river_secret_key.get_secret_value()}",
            "digitalriver-version": settings.digital_river_version,
            "upstream-application-id": APPLICATION,
            "user-agent": APPLICATION,
            "accept": "application/json",
            "accept-encoding": "gzip",
        },
    )


def _network(most_connections: int) -> AiohttpTransport:
    connector = aiohttp.TCPConnector(
        ssl=httpx.create_ssl_context(), limit=most_connections, keepalive_timeout=KEEPALIVE_SECONDS
    )
    return AiohttpTransport(
        client=aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    )


async def _received(
    response: httpx.Response, receive: Callable[[httpx.Response], Awaitable[_T]], entry: call_log.Entry
) -> _T:
    entry.facts["status"] = response.status_code
    entry.facts["dr_request_id"] = response.headers.get("x-dr-requestid")
    try:
        if not response.is_success:
            await _raise_for(response, entry)
        return await receive(response)
    except BaseException:
        await response.aclose()
        raise


async def _raise_for(response: httpx.Response, entry: call_log.Entry) -> None:
    try:
        body = await read_whole(response.aiter_bytes(), LARGEST_ERROR)
    except (Garbled, *_BROKEN):
        body = b""  # The status says enough.
    answer = read_answer(response.status_code, response.headers, body)
    entry.facts |= {"codes": answer.codes, "parameters": answer.parameters, "messages": answer.messages}
    raise error_of(answer)


def _failure(error: Exception, request_id: str | None = None) -> Unavailable | Garbled:
    if isinstance(error, httpx.DecodingError):
        return Garbled("the answer cannot be decompressed", request_id=request_id)
    reason = "no answer within the deadline"
    if not isinstance(error, TimeoutError):
        reason = f"connection failed: {type(error.__cause__ or error).__name__}"
    return Unavailable(reason, sent=_was_sent(error), request_id=request_id)


def _was_sent(error: Exception) -> bool:
    reason = error.__cause__ or error
    # httpx-aiohttp reports a connection that broke in the middle as ConnectTimeout too: only its cause tells.
    if isinstance(reason, aiohttp.ClientError):
        return not isinstance(reason, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def _reader(
    model: type[ModelT],
    path: Path,
    expected: Mapping[str, str],
    required: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[httpx.Response], Awaitable[ModelT]]:
    async def read(response: httpx.Response) -> ModelT:
        body = await read_whole(response.aiter_bytes(), LARGEST_JSON)
        return parse(body, model, path.template, expected, required)

    return read


async def _as_it_is(response: httpx.Response) -> httpx.Response:
    return response


async def _chunks(response: httpx.Response, seconds: float) -> AsyncGenerator[bytes, None]:
    pieces = response.aiter_bytes()
    while True:
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except _BROKEN as error:
            raise _failure(error) from None
        yield piece
