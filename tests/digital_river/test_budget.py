"""No process exceeds the rate of the key, and calls for a page go before background work."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.digital_river.api import orders
from app.digital_river.client.budget import BURST_SHARE, WINDOW, Budget, Pacer
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import Throttled
from app.ids import OrderId
from tests.support.clock import now, run_on_jumping_clock
from tests.support.digital_river import ScriptedDigitalRiver, found

SLACK = 1e-6


def most_in_a_window(times: list[float]) -> int:
    return max((sum(start <= at < start + WINDOW - SLACK for at in times) for start in times), default=0)


@given(
    per_second=st.integers(1, 60),
    arrivals=st.lists(st.tuples(st.floats(0, 0.3), st.booleans()), max_size=150),
)
def test_no_second_holds_more_calls_than_the_budget_and_only_half_of_it_in_the_background(
    per_second: int, arrivals: list[tuple[float, bool]]
) -> None:
    pace, clock = Pacer(per_second), 0.0
    left: list[float] = []
    left_in_background: list[float] = []
    for pause, background in arrivals:
        clock = max(clock + pause, pace.due(background=background))
        pace.spend(clock, background=background)
        left.append(clock)
        if background:
            left_in_background.append(clock)
    assert most_in_a_window(left) <= per_second
    assert most_in_a_window(left_in_background) <= -(-per_second // 2)


async def _leave(budget: Budget, name: str, left: list[tuple[str, float]], *, background: bool) -> None:
    await budget.take(background=background, max_wait=60)
    left.append((name, now()))


async def _left(per_second: int, callers: list[tuple[str, bool]]) -> list[tuple[str, float]]:
    """When each caller left, if all of them ask at once."""
    began, budget, left = now(), Budget(per_second), list[tuple[str, float]]()
    await asyncio.gather(*(_leave(budget, name, left, background=background) for name, background in callers))
    return [(name, at - began) for name, at in left]


def test_many_calls_leave_at_the_rate_of_the_budget_in_order_of_arrival() -> None:
    left = run_on_jumping_clock(_left(25, [(str(number), False) for number in range(100)]))
    assert [name for name, _ in left] == [str(number) for number in range(100)]
    assert left[-1][1] == pytest.approx(95 / 25, abs=0.1)


def test_many_calls_leave_in_small_steps_and_never_as_one_burst() -> None:
    times = [at for _, at in run_on_jumping_clock(_left(25, [(str(number), False) for number in range(100)]))]
    assert max(sum(start <= at < start + 0.03 for at in times) for start in times) == 25 // BURST_SHARE
    gaps = [later - earlier for earlier, later in itertools.pairwise(times[4:25])]
    assert gaps == pytest.approx([1 / 25] * len(gaps), abs=0.001)


def test_background_work_alone_gets_half_of_the_budget() -> None:
    left = run_on_jumping_clock(_left(20, [(str(number), True) for number in range(41)]))
    assert left[-1][1] == pytest.approx(4, abs=0.01)


def test_interactive_calls_leave_before_background_ones_that_came_first() -> None:
    callers = [(f"background {number}", True) for number in range(5)]
    callers += [(f"buyer {number}", False) for number in range(5)]
    names = [name for name, _ in run_on_jumping_clock(_left(10, callers))]
    # The first call found the budget unused.
    assert names[:6] == ["background 0", *(f"buyer {number}" for number in range(5))]
    assert names[6:] == [f"background {number}" for number in range(1, 5)]


def test_a_turn_that_cannot_come_in_time_is_refused_at_once() -> None:
    async def scenario() -> tuple[float, float]:
        budget = Budget(1)
        waiting = [asyncio.create_task(budget.take(background=False, max_wait=60)) for _ in range(6)]
        await asyncio.sleep(0)
        began = now()
        with pytest.raises(Throttled) as caught:
            await budget.take(background=False, max_wait=3)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return now() - began, caught.value.retry_after

    assert run_on_jumping_clock(scenario()) == (0, 5)


def test_background_work_that_buyers_delay_fails_at_its_deadline() -> None:
    async def scenario() -> None:
        budget = Budget(2)
        buyers = [asyncio.create_task(budget.take(background=False, max_wait=60)) for _ in range(20)]
        await asyncio.sleep(0)
        began = now()
        with pytest.raises(Throttled):
            await budget.take(background=True, max_wait=3)
        assert now() - began == pytest.approx(3)
        await asyncio.gather(*buyers)

    run_on_jumping_clock(scenario())


def test_a_cancelled_place_in_the_queue_delays_no_other_call() -> None:
    async def scenario() -> list[tuple[str, float]]:
        budget, left, began = Budget(10), list[tuple[str, float]](), now()
        tasks = [
            asyncio.create_task(_leave(budget, str(number), left, background=False)) for number in range(30)
        ]
        await asyncio.sleep(0)
        for task in tasks[5:25]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.waiting == 0
        return [(name, at - began) for name, at in left]

    left = run_on_jumping_clock(scenario())
    assert [name for name, _ in left] == ["0", "1", "2", "3", "4", "25", "26", "27", "28", "29"]
    assert left[-1][1] == pytest.approx(0.8, abs=0.01)


def test_both_priorities_share_one_budget_through_the_transport() -> None:
    scripted = ScriptedDigitalRiver([found()])

    async def ask(digital_river: DigitalRiverClient, order_id: str) -> None:
        await orders.fetch_any_order(digital_river, OrderId(order_id))

    async def scenario() -> int:
        async with scripted.opened(per_second=10) as digital_river:
            background = [ask(digital_river.background, f"b{number}") for number in range(10)]
            buyers = [ask(digital_river, f"i{number}") for number in range(10)]
            tasks = [asyncio.create_task(one) for one in [*background, *buyers]]
            await asyncio.sleep(0.5)
            waiting = digital_river.status().waiting
            await asyncio.gather(*tasks)
            return waiting

    assert run_on_jumping_clock(scenario()) > 5
    assert most_in_a_window(scripted.times) <= 10
    paths = [request.url.path.removeprefix("/orders/") for request in scripted.requests]
    assert paths[1:11] == [f"i{number}" for number in range(10)]
