"""While Digital River is down the breaker fails calls at once, and single probes find out when it is back."""

import asyncio

import httpx
import pytest

from app.digital_river.api import orders
from app.digital_river.client.circuit_breaker import (
    FAILURES_TO_OPEN,
    FIRST_COOL_DOWN,
    LONGEST_COOL_DOWN,
    BreakerState,
    CircuitBreaker,
)
from app.digital_river.errors import BreakerOpen, DigitalRiverError, Missing, Throttled, Unavailable
from app.ids import OrderId
from tests.support.clock import now, run_on_jumping_clock
from tests.support.digital_river import ScriptedDigitalRiver, answer, found

LONGEST_FIRST = FIRST_COOL_DOWN * 1.25


def fail(breaker: CircuitBreaker, times: int = FAILURES_TO_OPEN) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable), breaker.watch():
            raise Unavailable("down")


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.watch():
        pass


def test_it_opens_after_failures_in_a_row_and_then_answers_at_once() -> None:
    scripted = ScriptedDigitalRiver([answer(503)])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            while digital_river.status().breaker is BreakerState.CLOSED:
                with pytest.raises(Unavailable):
                    await orders.fetch_any_order(digital_river, OrderId("1"))
            asked = len(scripted.requests)
            began = now()
            for priority in (digital_river, digital_river.background):
                with pytest.raises(BreakerOpen) as caught:
                    await orders.fetch_any_order(priority, OrderId("1"))
                assert caught.value.retry_after is not None
                assert 0 < caught.value.retry_after <= LONGEST_FIRST
            assert (len(scripted.requests), now()) == (asked, began)

    run_on_jumping_clock(scenario())
    assert len(scripted.requests) == FAILURES_TO_OPEN


def test_it_closes_again_when_digital_river_answers() -> None:
    scripted = ScriptedDigitalRiver([answer(503)])

    async def scenario() -> None:
        async with scripted.opened() as digital_river:
            while digital_river.status().breaker is BreakerState.CLOSED:
                with pytest.raises(Unavailable):
                    await orders.fetch_any_order(digital_river, OrderId("1"))
            scripted.script = [found()]
            await asyncio.sleep(LONGEST_FIRST)
            assert digital_river.status().breaker is BreakerState.HALF_OPEN
            await orders.fetch_any_order(digital_river, OrderId("1"))
            assert digital_river.status().breaker is BreakerState.CLOSED
            assert digital_river.status().retry_after is None

    run_on_jumping_clock(scenario())


def test_one_good_answer_in_between_keeps_it_closed() -> None:
    async def scenario() -> BreakerState:
        breaker = CircuitBreaker()
        for _ in range(3):
            fail(breaker, FAILURES_TO_OPEN - 1)
            succeed(breaker)
        return breaker.state

    assert run_on_jumping_clock(scenario()) is BreakerState.CLOSED


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422])
def test_an_answer_that_says_no_is_no_outage(status: int) -> None:
    async def scenario() -> BreakerState:
        async with ScriptedDigitalRiver([answer(status)]).opened() as digital_river:
            for _ in range(3 * FAILURES_TO_OPEN):
                with pytest.raises(DigitalRiverError):
                    await orders.fetch_any_order(digital_river, OrderId("1"))
            return digital_river.status().breaker

    assert run_on_jumping_clock(scenario()) is BreakerState.CLOSED


def test_half_open_lets_one_probe_through_at_a_time() -> None:
    async def scenario() -> None:
        breaker = CircuitBreaker()
        fail(breaker)
        await asyncio.sleep(LONGEST_FIRST)
        with breaker.watch():
            with pytest.raises(BreakerOpen) as caught, breaker.watch():
                pass
            assert caught.value.retry_after is not None
            assert caught.value.retry_after > 0
        succeed(breaker)

    run_on_jumping_clock(scenario())


def test_a_failed_probe_doubles_the_cool_down_up_to_a_limit() -> None:
    async def scenario() -> list[float]:
        breaker, cool_downs = CircuitBreaker(), list[float]()
        fail(breaker)
        for _ in range(8):
            assert breaker.retry_after is not None
            cool_downs.append(breaker.retry_after)
            await asyncio.sleep(breaker.retry_after + 0.001)
            fail(breaker, 1)
        return cool_downs

    cool_downs = run_on_jumping_clock(scenario())
    for number, seconds in enumerate(cool_downs):
        mean = min(FIRST_COOL_DOWN * 2**number, LONGEST_COOL_DOWN)
        assert 0.75 * mean <= seconds <= 1.25 * mean
    assert max(cool_downs) > LONGEST_COOL_DOWN * 0.75


def test_a_cancelled_probe_makes_room_for_the_next_one() -> None:
    scripted = ScriptedDigitalRiver([answer(503)])

    async def scenario() -> BreakerState:
        async with scripted.opened() as digital_river:
            while digital_river.status().breaker is BreakerState.CLOSED:
                with pytest.raises(Unavailable):
                    await orders.fetch_any_order(digital_river, OrderId("1"))
            await asyncio.sleep(LONGEST_FIRST)
            scripted.script = [10.0, found()]
            probe = asyncio.create_task(orders.fetch_any_order(digital_river, OrderId("1")))
            await asyncio.sleep(0.1)
            with pytest.raises(BreakerOpen):
                await orders.fetch_any_order(digital_river, OrderId("1"))
            probe.cancel()
            await asyncio.wait([probe])
            await orders.fetch_any_order(digital_river, OrderId("1"))
            return digital_river.status().breaker

    assert run_on_jumping_clock(scenario()) is BreakerState.CLOSED


@pytest.mark.parametrize("error", [Missing(), Throttled("wait", retry_after=1)])
def test_any_answer_to_a_probe_closes_it(error: Exception) -> None:
    async def scenario() -> BreakerState:
        breaker = CircuitBreaker()
        fail(breaker)
        await asyncio.sleep(LONGEST_FIRST)
        with pytest.raises(type(error)), breaker.watch():
            raise error
        return breaker.state

    assert run_on_jumping_clock(scenario()) is BreakerState.CLOSED


def test_a_bug_of_ours_in_a_probe_does_not_close_it() -> None:
    async def scenario() -> BreakerState:
        breaker = CircuitBreaker()
        fail(breaker)
        await asyncio.sleep(LONGEST_FIRST)
        with pytest.raises(KeyError), breaker.watch():
            raise KeyError
        return breaker.state

    assert run_on_jumping_clock(scenario()) is BreakerState.HALF_OPEN


def test_calls_that_left_before_it_opened_neither_close_nor_prolong_it() -> None:
    async def scenario() -> None:
        breaker = CircuitBreaker()
        early_success, early_failure = breaker.watch(), breaker.watch()
        early_success.__enter__()
        early_failure.__enter__()
        fail(breaker)
        cool_down = breaker.retry_after
        early_success.__exit__(None, None, None)
        late = Unavailable("down")
        early_failure.__exit__(type(late), late, None)
        assert breaker.state is BreakerState.OPEN
        assert breaker.retry_after == cool_down

    run_on_jumping_clock(scenario())


def test_silence_counts_as_a_failure() -> None:
    scripted = ScriptedDigitalRiver([httpx.ReadTimeout("silence")])

    async def scenario() -> BreakerState:
        async with scripted.opened() as digital_river:
            await asyncio.gather(
                *(orders.fetch_any_order(digital_river, OrderId("1")) for _ in range(FAILURES_TO_OPEN)),
                return_exceptions=True,
            )
            return digital_river.status().breaker

    assert run_on_jumping_clock(scenario()) is not BreakerState.CLOSED
