"""Callers of the same moment share a statement, and each gets its own result."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from app.db.batches import INTERVAL_SECONDS, Batcher
from tests.support.clock import now, run_on_jumping_clock

SECONDS = 0.5


@dataclass
class Statement:
    """Takes half a second, doubles its numbers, and refuses those in `refused` with this error."""

    error: Exception
    refused: frozenset[int] = frozenset()
    batches: list[list[int]] = field(default_factory=list)

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append([*numbers])
        await asyncio.sleep(SECONDS)
        if not self.refused.isdisjoint(numbers):
            raise self.error
        return [2 * number for number in numbers]


def test_callers_that_come_while_a_batch_runs_share_the_next_one() -> None:
    statement = Statement(ValueError())

    async def scenario() -> list[int]:
        batcher = Batcher(statement)
        return await asyncio.gather(*(batcher.submit(number) for number in range(5)))

    assert run_on_jumping_clock(scenario()) == [0, 2, 4, 6, 8]
    assert statement.batches == [[0, 1, 2, 3, 4]]


def test_a_caller_that_comes_alone_is_served_at_once_and_the_next_one_soon() -> None:
    async def scenario() -> list[float]:
        begun = []

        async def note(items: Sequence[None]) -> Sequence[None]:
            begun.append(now())
            return items

        batcher = Batcher(note)
        start = now()
        await batcher.submit(None)
        await batcher.submit(None)
        await asyncio.sleep(1)
        await batcher.submit(None)
        return [at - start for at in begun]

    assert run_on_jumping_clock(scenario()) == pytest.approx([0, INTERVAL_SECONDS, 1 + INTERVAL_SECONDS])


def test_an_item_that_is_refused_fails_alone() -> None:
    statement = Statement(ValueError("seven"), frozenset({7}))

    async def scenario() -> list[int | BaseException]:
        batcher = Batcher(statement)
        return await asyncio.gather(*(batcher.submit(n) for n in (6, 7, 8)), return_exceptions=True)

    six, seven, eight = run_on_jumping_clock(scenario())
    assert (six, str(seven), eight) == (12, "seven", 16)
    assert statement.batches == [[6, 7, 8], [6], [7], [8]]


def test_during_an_outage_no_item_is_tried_alone() -> None:
    statement = Statement(ConnectionResetError(), frozenset({7}))

    async def scenario() -> list[int | BaseException]:
        batcher = Batcher(statement)
        return await asyncio.gather(*(batcher.submit(n) for n in (6, 7, 8)), return_exceptions=True)

    assert {type(result) for result in run_on_jumping_clock(scenario())} == {ConnectionResetError}
    assert statement.batches == [[6, 7, 8]]


def test_what_a_cancelled_caller_does_next_comes_after_its_batch() -> None:
    statement = Statement(ValueError())

    async def scenario() -> list[float]:
        batcher = Batcher(statement)
        running = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(batcher.submit(2))
        await asyncio.sleep(0.1)
        start = now()
        for task in (waiting, running):
            task.cancel()
        await asyncio.wait([waiting])
        ended_while_waiting = now() - start
        await asyncio.wait([running])
        assert waiting.cancelled()
        assert running.cancelled()
        return [ended_while_waiting, now() - start]

    assert run_on_jumping_clock(scenario()) == pytest.approx([0, SECONDS - 0.2])
    assert statement.batches == [[1]]


def test_when_the_loop_ends_no_caller_waits_forever() -> None:
    statement = Statement(ValueError())

    async def scenario() -> list[bool]:
        batcher = Batcher(statement)
        callers = [asyncio.create_task(batcher.submit(1))]
        await asyncio.sleep(0.1)
        callers.append(asyncio.create_task(batcher.submit(2)))
        await asyncio.sleep(0.1)
        for task in asyncio.all_tasks() - {asyncio.current_task(), *callers}:
            task.cancel()
        await asyncio.wait(callers)
        assert await batcher.submit(3) == 6
        return [caller.cancelled() for caller in callers]

    assert run_on_jumping_clock(scenario()) == [True, True]


def test_when_the_loop_ends_while_items_run_alone_no_caller_waits_forever() -> None:
    statement = Statement(ValueError(), frozenset({1}))

    async def scenario() -> list[bool]:
        batcher = Batcher(statement)
        callers = [asyncio.create_task(batcher.submit(number)) for number in (1, 2, 3)]
        await asyncio.sleep(3.5 * SECONDS / 2)
        for task in asyncio.all_tasks() - {asyncio.current_task(), *callers}:
            task.cancel()
        await asyncio.wait(callers)
        return [caller.cancelled() for caller in callers]

    assert run_on_jumping_clock(scenario()) == [True, True, True]
