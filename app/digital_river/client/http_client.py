"""Sends every call to Digital River: under the limits, with a deadline, retries and a typed result."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from types import MappingProxyType
from typing import TypeVar

import httpx

from app.digital_river.client import call_log
from app.digital_river.client.call_limits import CallLimits, ClientStatus, ConnectionLimit
from app.digital_river.client.error_responses import error_for, read_error_response
from app.digital_river.client.request import (
    DEFAULT_DEADLINES,
    Call,
    Deadlines,
    Download,
    Params,
    Path,
    Upload,
)
from app.digital_river.client.responses import ModelT, parse_response, read_body
from app.digital_river.client.transport import (
    TRANSPORT_ERRORS,
    BareClient,
    body_of,
    build_transport,
    stream_chunks,
    to_error,
)
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

MAX_CONNECTIONS = 100
MAX_JSON_BYTES = 8 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024

_T = TypeVar("_T")


class DigitalRiverClient:
    """Calls Digital River with our key. Each failure of a call is a DigitalRiverError.

    After Unavailable, the client retries GET, HEAD and DELETE up to twice, and POST only if no connection was
    made. One deadline covers all attempts. A 429 pauses all calls of the process; an interactive call waits
    for the end of a pause that is shorter than its deadline.
    """

    def __init__(
        self,
        client: BareClient,
        limits: CallLimits,
        connections: ConnectionLimit,
        deadlines: Deadlines,
        *,
        is_background: bool = False,
    ) -> None:
        self._client = client
        self._limits = limits
        self._connections = connections
        self._deadlines = deadlines
        self._is_background = is_background

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        deadlines: Deadlines = DEFAULT_DEADLINES,
        max_connections: int = MAX_CONNECTIONS,
    ) -> AsyncIterator["DigitalRiverClient"]:
        """A client for the lifetime of the process; tests replace the network by `transport`."""
        limits = CallLimits(settings.requests_per_second)
        try:
            network = transport or build_transport(max_connections)
            async with network:
                client = BareClient(settings, deadlines, network)
                yield cls(client, limits, ConnectionLimit(max_connections), deadlines)
        finally:
            limits.close()

    @property
    def background(self) -> "DigitalRiverClient":
        """The same client for background work: at most half of the budget, after all interactive calls."""
        return DigitalRiverClient(
            self._client, self._limits, self._connections, self._deadlines, is_background=True
        )

    def status(self) -> ClientStatus:
        """The limits of this process at this moment."""
        return self._limits.status()

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
        """Call, and read the JSON response into `model`. `expected` and `required`: see `parse_response`."""
        call = Call(method, path, self._deadlines.total, params, body)
        return await self._send_with_retries(call, _json_reader(model, path, expected, required))

    async def call_without_result(self, method: str, path: Path) -> None:
        """Call, and ignore the body of a 2xx."""
        call = Call(method, path, self._deadlines.total)
        try:
            await self._send_with_retries(call, httpx.Response.aclose)
        except Missing:
            # If its response was lost, the first DELETE may have worked.
            if call.method != "DELETE" or call.attempts == 1:
                raise

    async def upload(
        self, path: Path, *, fields: Mapping[str, str], upload: Upload, model: type[ModelT]
    ) -> ModelT:
        """POST a form; the client reads the file while it sends it.

        Raises:
            OSError: the file could not be read here; Digital River is not to blame.
        """
        call = Call("POST", path, self._deadlines.upload, fields=fields, upload=upload)
        return await self._send_with_retries(call, _json_reader(model, path, {}))

    @asynccontextmanager
    async def stream(self, path: Path) -> AsyncIterator[Download]:
        """GET a file in chunks as they arrive. Entering the block raises if the response is not 2xx."""
        async with self._connections.acquire(background=self._is_background, max_wait=self._deadlines.pool):
            call = Call("GET", path, self._deadlines.total, holds_connection=True)
            call.headers |= {"accept": "*/*", "accept-encoding": "identity"}
            response = await self._send_with_retries(call, _return_response)
            try:
                async with aclosing(stream_chunks(response, self._deadlines.read)) as chunks:
                    length = response.headers.get("content-length", "")
                    is_plain = length.isdigit() and "content-encoding" not in response.headers
                    yield Download(
                        response.headers.get("content-type"), int(length) if is_plain else None, chunks
                    )
            finally:
                await response.aclose()

    async def _send_with_retries(self, call: Call, receive: Callable[[httpx.Response], Awaitable[_T]]) -> _T:
        clock = asyncio.get_running_loop().time
        deadline = clock() + call.total
        while True:
            await self._limits.wait(background=self._is_background, deadline=deadline)
            call.attempts += 1
            try:
                async with self._connection_for(call, deadline):
                    return await self._send_once(call, deadline, receive)
            except (BreakerOpen, NoConnectionFree):
                raise
            except Throttled as error:
                self._limits.pause(error.retry_after)
                # A 429 comes from before the backend (API basics, rate limits): the call had no effect.
                if self._is_background or not call.may_retry(had_no_effect=True):
                    raise
            except Unavailable as error:
                delay = call.delay(error.retry_after)
                if not call.may_retry(had_no_effect=not error.sent) or clock() + delay >= deadline:
                    raise
                await asyncio.sleep(delay)

    async def _send_once(
        self, call: Call, deadline: float, receive: Callable[[httpx.Response], Awaitable[_T]]
    ) -> _T:
        route = call.path.template
        with self._limits.watch(), call_log.log_call(call.method, route, call.attempts) as entry:
            try:
                async with asyncio.timeout_at(deadline):
                    response = await self._client.send(call)
                    return await _read_response(response, receive, entry)
            except DigitalRiverError as error:
                error.request_id = entry.fields.get("dr_request_id")
                raise
            except TRANSPORT_ERRORS as error:
                entry.fields["failure"] = type(error.__cause__ or error).__name__
                if call.read_error is not None:
                    raise call.read_error from None
                # Without its cause: the HTTP clients put the whole URL into their messages.
                raise to_error(error, entry.fields.get("dr_request_id")) from None

    def _connection_for(self, call: Call, deadline: float) -> AbstractAsyncContextManager[None]:
        if call.holds_connection:
            return nullcontext()
        left = deadline - asyncio.get_running_loop().time()
        return self._connections.acquire(
            background=self._is_background, max_wait=min(self._deadlines.pool, left)
        )


async def _read_response(
    response: httpx.Response, receive: Callable[[httpx.Response], Awaitable[_T]], entry: call_log.CallLogEntry
) -> _T:
    entry.fields["status"] = response.status_code
    entry.fields["dr_request_id"] = response.headers.get("x-dr-requestid")
    try:
        if not response.is_success:
            await _raise_for(response, entry)
        return await receive(response)
    except BaseException:
        await response.aclose()
        raise


async def _raise_for(response: httpx.Response, entry: call_log.CallLogEntry) -> None:
    try:
        body = await read_body(body_of(response), MAX_ERROR_BYTES)
    except (Garbled, *TRANSPORT_ERRORS):
        body = b""  # The status is enough to choose the error.
    error_response = read_error_response(response.status_code, response.headers, body)
    entry.fields |= {
        "codes": error_response.codes,
        "parameters": error_response.parameters,
        "messages": error_response.messages,
    }
    raise error_for(error_response)


def _json_reader(
    model: type[ModelT],
    path: Path,
    expected: Mapping[str, str],
    required: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[httpx.Response], Awaitable[ModelT]]:
    async def read(response: httpx.Response) -> ModelT:
        body = await read_body(body_of(response), MAX_JSON_BYTES)
        return parse_response(body, model, path.template, expected, required)

    return read


async def _return_response(response: httpx.Response) -> httpx.Response:
    return response
