"""No call lasts longer than its deadline, and a cancelled call releases everything it held."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from app.digital_river.api import files, orders
from app.digital_river.client.request import Deadlines
from app.digital_river.errors import Throttled, Unavailable
from app.ids import FileId, OrderId
from tests.support.clock import now, run_on_jumping_clock
from tests.support.digital_river import ScriptedDigitalRiver, found


def test_a_call_without_an_answer_is_unavailable_at_the_total_deadline() -> None:
    async def scenario() -> float:
        began = now()
        async with ScriptedDigitalRiver([3600.0]).opened(deadlines=Deadlines(total=4)) as digital_river:
            with pytest.raises(Unavailable) as caught:
                await orders.fetch_any_order(digital_river, OrderId("1"))
        assert caught.value.sent
        return now() - began

    assert run_on_jumping_clock(scenario()) == pytest.approx(4, abs=0.01)


def test_waiting_for_the_budget_counts_towards_the_deadline() -> None:
    async def scenario() -> list[object]:
        async with ScriptedDigitalRiver([found()]).opened(
            per_second=1, deadlines=Deadlines(total=3)
        ) as digital_river:
            began = now()
            outcomes = await asyncio.gather(
                *(orders.fetch_any_order(digital_river, OrderId("1")) for _ in range(10)),
                return_exceptions=True,
            )
            assert now() - began <= 3.01
            return list(outcomes)

    outcomes = run_on_jumping_clock(scenario())
    assert 3 <= sum(not isinstance(one, Exception) for one in outcomes) <= 4
    assert all(isinstance(one, Throttled) for one in outcomes if isinstance(one, Exception))


class Dripping(httpx.AsyncByteStream):
    """A body of five pieces with a silence before each."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(5):
            await asyncio.sleep(self.seconds)
            yield b"x" * 10

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_long_stream_outlives_the_total_deadline_as_long_as_bytes_arrive() -> None:
    body = Dripping(2)

    async def scenario() -> bytes:
        scripted = ScriptedDigitalRiver([httpx.Response(200, stream=body)])
        async with (
            scripted.opened(deadlines=Deadlines(total=3, read=4)) as digital_river,
            files.stream_content(digital_river, FileId("f")) as download,
        ):
            return b"".join([chunk async for chunk in download.chunks])

    assert len(run_on_jumping_clock(scenario())) == 50
    assert body.is_closed


def test_a_stream_that_falls_silent_is_unavailable() -> None:
    body = Dripping(60)

    async def scenario() -> float:
        scripted = ScriptedDigitalRiver([httpx.Response(200, stream=body)])
        began = now()
        async with (
            scripted.opened(deadlines=Deadlines(read=4)) as digital_river,
            files.stream_content(digital_river, FileId("f")) as download,
        ):
            with pytest.raises(Unavailable):
                await anext(download.chunks)
        return now() - began

    assert run_on_jumping_clock(scenario()) == pytest.approx(4, abs=0.01)
    assert body.is_closed


def test_a_json_body_that_drips_past_the_deadline_is_unavailable_and_closed() -> None:
    bodies = [Dripping(2) for _ in range(3)]

    async def scenario() -> None:
        script = [httpx.Response(200, stream=body) for body in bodies]
        async with ScriptedDigitalRiver([*script]).opened(deadlines=Deadlines(total=5)) as digital_river:
            with pytest.raises(Unavailable):
                await orders.fetch_any_order(digital_river, OrderId("1"))

    run_on_jumping_clock(scenario())
    assert bodies[0].is_closed


def test_a_stream_left_early_is_closed() -> None:
    body = Dripping(0)

    async def scenario() -> None:
        async with ScriptedDigitalRiver([httpx.Response(200, stream=body)]).opened() as digital_river:
            async with files.stream_content(digital_river, FileId("f")) as download:
                assert await anext(download.chunks) == b"x" * 10
            assert body.is_closed

    run_on_jumping_clock(scenario())


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.35])
def test_a_cancelled_call_releases_everything_it_held(after: float) -> None:
    """Cancelled in the queue or in flight: later calls are served as if it had never been made."""

    async def scenario() -> int:
        async with ScriptedDigitalRiver([0.1]).opened(per_second=10) as digital_river:
            tasks = [
                asyncio.create_task(orders.fetch_any_order(digital_river, OrderId("1"))) for _ in range(8)
            ]
            await asyncio.sleep(after)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert digital_river.status().waiting == 0
            await asyncio.sleep(1)
            began = now()
            await asyncio.gather(*(orders.fetch_any_order(digital_river, OrderId("2")) for _ in range(2)))
            assert now() - began == pytest.approx(0.1, abs=0.01)
            return digital_river.status().waiting

    assert run_on_jumping_clock(scenario()) == 0
