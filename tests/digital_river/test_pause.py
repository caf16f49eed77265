"""After a 429 no process calls until the pause is over, and no call waits for a pause beyond its deadline."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.digital_river.api import customers, orders
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.pause import DEFAULT_SECONDS, LONGEST_SECONDS, parse_retry_after
from app.digital_river.errors import Throttled
from app.digital_river.models import CustomerChanges
from app.ids import CustomerId, OrderId
from tests.support.clock import now, run_on_jumping_clock
from tests.support.digital_river import ScriptedDigitalRiver, answer, found


def ask(digital_river: DigitalRiverClient) -> Awaitable[object]:
    return orders.fetch_any_order(digital_river, OrderId("1"))


def test_a_buyers_call_waits_for_a_short_pause_and_gets_the_answer() -> None:
    scripted = ScriptedDigitalRiver([answer(429, retry_after="3"), found()])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            await ask(digital_river)

    run_on_jumping_clock(scenario())
    assert scripted.times[1] - scripted.times[0] == pytest.approx(3, abs=0.01)


def test_a_write_is_repeated_after_a_pause_because_nothing_happened() -> None:
    scripted = ScriptedDigitalRiver([answer(429, retry_after="1"), found(id="c")])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            await customers.create_customer(digital_river, CustomerId("c"), CustomerChanges())

    run_on_jumping_clock(scenario())
    assert len(scripted.requests) == 2


def test_a_buyers_call_fails_at_once_if_the_pause_outlasts_the_deadline() -> None:
    async def scenario() -> tuple[float, float]:
        async with ScriptedDigitalRiver([answer(429, retry_after="120")]).opened() as digital_river:
            began = now()
            with pytest.raises(Throttled) as caught:
                await ask(digital_river)
            return caught.value.retry_after, now() - began

    assert run_on_jumping_clock(scenario()) == (120, 0)


def test_all_callers_share_the_pause_and_no_call_leaves_during_it() -> None:
    scripted = ScriptedDigitalRiver([answer(429, retry_after="3"), found()])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            with pytest.raises(Throttled):
                await ask(digital_river.background)
            assert digital_river.status().paused_until is not None
            await asyncio.gather(*(ask(digital_river) for _ in range(20)))
            assert digital_river.status().paused_until is None

    run_on_jumping_clock(scenario())
    assert len(scripted.requests) == 21
    assert min(scripted.times[1:]) - scripted.times[0] >= 3


def test_background_work_fails_during_a_pause_without_waiting() -> None:
    scripted = ScriptedDigitalRiver([answer(429, retry_after="3"), found()])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            for _ in range(3):
                began = now()
                with pytest.raises(Throttled) as caught:
                    await ask(digital_river.background)
                assert caught.value.retry_after == pytest.approx(3, abs=0.01)
                assert now() == began
            await asyncio.sleep(3)
            await ask(digital_river.background)

    run_on_jumping_clock(scenario())
    assert len(scripted.requests) == 2


def test_those_already_queued_for_the_budget_notice_a_pause() -> None:
    scripted = ScriptedDigitalRiver([answer(429, retry_after="3"), found()], latency=0.05)

    async def scenario() -> None:
        async with scripted.opened(per_second=5) as digital_river:
            await asyncio.gather(*(ask(digital_river) for _ in range(5)))

    run_on_jumping_clock(scenario())
    assert min(scripted.times[1:]) - scripted.times[0] >= 3


def test_a_pause_without_a_length_is_a_short_one() -> None:
    scripted = ScriptedDigitalRiver([answer(429), found()])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            await ask(digital_river)

    run_on_jumping_clock(scenario())
    assert scripted.times[1] - scripted.times[0] == pytest.approx(DEFAULT_SECONDS, abs=0.01)


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    scripted = ScriptedDigitalRiver(
        [answer(429, retry_after="100"), answer(429, retry_after="1")], latency=0.05
    )

    async def scenario() -> float:
        async with scripted.opened() as digital_river:
            await asyncio.gather(
                _asked(digital_river.background), _asked(digital_river.background), return_exceptions=True
            )
            with pytest.raises(Throttled) as caught:
                await ask(digital_river.background)
            return caught.value.retry_after

    assert run_on_jumping_clock(scenario()) == pytest.approx(100, abs=1)
    assert len(scripted.requests) == 2


def test_a_cancelled_waiter_leaves_the_pause_to_the_others() -> None:
    scripted = ScriptedDigitalRiver([answer(429, retry_after="2"), found()])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            with pytest.raises(Throttled):
                await ask(digital_river.background)
            impatient, patient = (asyncio.create_task(_asked(digital_river)) for _ in range(2))
            await asyncio.sleep(1)
            impatient.cancel()
            await patient

    run_on_jumping_clock(scenario())
    assert len(scripted.requests) == 2


async def _asked(digital_river: DigitalRiverClient) -> None:
    await ask(digital_river)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7), ("999999", LONGEST_SECONDS)]
)
def test_a_retry_after_is_read_as_whole_seconds(text: str, seconds: float) -> None:
    assert parse_retry_after(text) == seconds


def test_a_retry_after_is_read_as_a_date() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    assert parse_retry_after(in_a_minute) == pytest.approx(60, abs=2)
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@given(st.text())
def test_any_other_retry_after_is_none_or_within_bounds(text: str) -> None:
    seconds = parse_retry_after(text)
    assert seconds is None or 0 <= seconds <= LONGEST_SECONDS


def test_a_missing_retry_after_is_none() -> None:
    assert parse_retry_after(None) is None
    assert parse_retry_after(httpx.Headers().get("retry-after")) is None
