"""If all connections of the client are taken, a call fails at once, and the breaker does not count it."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from app.digital_river.api import files, orders
from app.digital_river.client.circuit_breaker import FAILURES_TO_OPEN, BreakerState
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Deadlines
from app.digital_river.errors import NoConnectionFree
from app.ids import FileId, OrderId
from tests.digital_river.test_network import serving_at
from tests.support.digital_river import settings

MOST = 3


async def serve(request: web.Request) -> web.StreamResponse:
    if not request.path.startswith("/files"):
        return web.json_response({"id": "1"})
    response = web.StreamResponse(headers={"Content-Type": "application/pdf"})
    response.content_length = 2 * 64 * 1024
    await response.prepare(request)
    await response.write(64 * 1024 * b"x")
    await asyncio.sleep(60)
    return response


async def test_without_a_free_connection_a_call_fails_as_ours_and_the_breaker_stays_closed() -> None:
    async with (
        serving_at(serve) as url,
        DigitalRiverClient.open(
            settings(url=url), deadlines=Deadlines(pool=0.05), max_connections=MOST
        ) as digital_river,
    ):
        async with AsyncExitStack() as readers:
            for _ in range(MOST):
                await readers.enter_async_context(files.stream_content(digital_river, FileId("f")))
            for _ in range(2 * FAILURES_TO_OPEN):
                with pytest.raises(NoConnectionFree) as caught:
                    await orders.fetch_any_order(digital_river, OrderId("1"))
                assert not caught.value.sent
            with pytest.raises(NoConnectionFree):
                await readers.enter_async_context(files.stream_content(digital_river.background, FileId("f")))
        assert digital_river.status().breaker is BreakerState.CLOSED
        # Each slow reader has given its connection back.
        for _ in range(2 * MOST):
            assert (await orders.fetch_any_order(digital_river, OrderId("1"))).id == "1"
        async with files.stream_content(digital_river, FileId("f")):
            pass


async def test_background_calls_leave_connections_to_buyers() -> None:
    async with (
        serving_at(serve) as url,
        DigitalRiverClient.open(
            settings(url=url), deadlines=Deadlines(pool=0.05), max_connections=4
        ) as digital_river,
        AsyncExitStack() as readers,
    ):
        for _ in range(3):
            await readers.enter_async_context(files.stream_content(digital_river.background, FileId("f")))
        with pytest.raises(NoConnectionFree):
            await orders.fetch_any_order(digital_river.background, OrderId("1"))
        for _ in range(5):
            assert (await orders.fetch_any_order(digital_river, OrderId("1"))).id == "1"


async def test_more_calls_than_connections_wait_for_their_turn() -> None:
    together = most_together = 0

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal together, most_together
        together += 1
        most_together = max(most_together, together)
        await asyncio.sleep(0.01)
        together -= 1
        return web.json_response({"id": "1"})

    async with (
        serving_at(count) as url,
        DigitalRiverClient.open(settings(url=url), max_connections=MOST) as digital_river,
    ):
        await asyncio.gather(*(orders.fetch_any_order(digital_river, OrderId("1")) for _ in range(30)))
    assert most_together == MOST
