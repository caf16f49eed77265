"""Simultaneous deliveries share one write, and each gets its own answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import pytest

from app.ids import EventId
from app.resources import Resources
from app.webhooks import ingest
from app.webhooks.ingest import BATCH_SIZE, WRITERS, BatchWriter, NewEvent
from tests.support.clock import eventually

Database: TypeAlias = asyncpg.Connection


def event(name: object) -> NewEvent:
    return NewEvent(EventId(f"e{name}"), "t", "ignored", None, None, "{}")


async def kept(database: Database) -> set[str]:
    return {row["id"] for row in await database.fetch("SELECT id FROM webhook_event")}


async def commits(database: Database) -> int:
    """How many transactions the events were kept in."""
    count: int = await database.fetchval("SELECT count(DISTINCT xmin::text) FROM webhook_event")
    return count


@pytest.fixture
async def writer(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> BatchWriter:
    """With a long time-out, so that a slow machine does not give up a write that a test blocks."""
    monkeypatch.setattr(ingest, "WRITE_SECONDS", 15.0)
    return BatchWriter(resources.hot_pool)


@asynccontextmanager
async def writes_held_up(database: Database) -> AsyncIterator[None]:
    async with database.transaction():
        await database.execute("LOCK TABLE webhook_event")
        yield


async def writes_waiting(database: Database, count: int) -> None:
    """Until exactly so many writes wait for a lock."""

    async def is_reached() -> bool:
        # Not pg_stat_activity, which stands still within a transaction.
        waiting = """SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN (
                         SELECT pid FROM pg_locks
                         WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
        return bool(await database.fetchval(waiting) == count)

    await eventually(is_reached)


async def test_each_of_a_burst_is_kept_once_and_the_burst_costs_few_commits(
    own_database: Database, writer: BatchWriter
) -> None:
    answers = await asyncio.gather(*(writer.add(event(number)) for number in range(2 * BATCH_SIZE)))
    assert answers == [True] * 2 * BATCH_SIZE
    assert await kept(own_database) == {f"e{number}" for number in range(2 * BATCH_SIZE)}
    assert await commits(own_database) == 2


async def test_the_same_event_twice_in_one_write_is_new_once(
    own_database: Database, writer: BatchWriter
) -> None:
    answers = await asyncio.gather(*(writer.add(event(name)) for name in (1, 2, 1)))
    assert answers == [True, True, False]
    assert await writer.add(event(1)) is False


async def test_while_all_writers_wait_the_rest_is_gathered_for_one_write(
    own_database: Database, writer: BatchWriter
) -> None:
    additions = []
    async with writes_held_up(own_database):
        for number in range(WRITERS):
            additions.append(asyncio.create_task(writer.add(event(number))))
            await writes_waiting(own_database, number + 1)
        additions += [asyncio.create_task(writer.add(event(name))) for name in "abc"]
        for _ in range(20):
            await writes_waiting(own_database, WRITERS)
    assert await asyncio.gather(*additions) == [True] * len(additions)
    assert await commits(own_database) == WRITERS + 1
    # The writers have stopped, and the next event starts one.
    assert await writer.add(event("last")) is True


async def test_a_cancelled_delivery_delays_no_other(own_database: Database, writer: BatchWriter) -> None:
    async with writes_held_up(own_database):
        together = [asyncio.create_task(writer.add(event(name))) for name in "ab"]
        await writes_waiting(own_database, 1)
        others = []
        for number in range(1, WRITERS):
            others.append(asyncio.create_task(writer.add(event(number))))
            await writes_waiting(own_database, number + 1)
        waiting = [asyncio.create_task(writer.add(event(name))) for name in "cd"]
        await writes_waiting(own_database, WRITERS)
        together[0].cancel()
        waiting[0].cancel()
        await asyncio.wait([together[0], waiting[0]])
    async with asyncio.timeout(5):
        assert await asyncio.gather(together[1], waiting[1], *others) == [True] * (WRITERS + 1)
    # Its write was under way already; that of the other one had not begun, and it will be delivered again.
    assert {"ea", "ec"} & await kept(own_database) == {"ea"}


async def test_a_write_that_takes_too_long_fails_for_all_who_share_it_and_no_longer(
    own_database: Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writes_held_up(own_database):
        monkeypatch.setattr(ingest, "WRITE_SECONDS", 0.2)
        for _ in range(2):
            additions = [asyncio.create_task(writer.add(event(name))) for name in "abc"]
            await asyncio.sleep(0)
            additions[0].cancel()
            async with asyncio.timeout(5):
                ends = await asyncio.gather(*additions, return_exceptions=True)
            assert [type(end) for end in ends] == [asyncio.CancelledError, TimeoutError, TimeoutError]
    monkeypatch.setattr(ingest, "WRITE_SECONDS", 15.0)
    assert await writer.add(event("a")) is True


async def test_deliveries_that_wait_behind_failing_writes_are_answered(
    own_database: Database, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writes_held_up(own_database):
        monkeypatch.setattr(ingest, "WRITE_SECONDS", 0.2)
        additions = []
        for number in range(WRITERS + 1):
            additions.append(asyncio.create_task(writer.add(event(number))))
            # Its writer starts with it alone; the last one finds all writers busy.
            for _ in range(3):
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            ends = await asyncio.gather(*additions, return_exceptions=True)
    assert [type(end) for end in ends] == [TimeoutError] * (WRITERS + 1)


async def test_the_same_events_in_opposite_orders_do_not_block_each_other_for_ever(
    own_database: Database, resources: Resources
) -> None:
    events = [event(number) for number in range(9)]
    async with own_database.transaction():
        await own_database.execute(
            """INSERT INTO webhook_event (id, type, state, origin, body)
               VALUES ('e4', 't', 'ignored', 'sweep', '{}')"""
        )
        puts = [
            asyncio.create_task(ingest.insert_events(resources.hot_pool, one, "webhook"))
            for one in (events, events[::-1])
        ]
        await writes_waiting(own_database, 2)
    new = await asyncio.gather(*puts)
    assert sorted(name for names in new for name in names) == [
        f"e{number}" for number in range(9) if number != 4
    ]
