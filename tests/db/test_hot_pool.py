"""The pool of the busiest statements: how many connections, who waits for how long, and which are kept."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest

from app.db import hot_pool
from app.db.engine import connect
from app.db.hot_pool import HotPool

SIZE = 2


@pytest.fixture
async def pool(database_url: str, database: asyncpg.Connection) -> AsyncIterator[HotPool]:
    pool = HotPool(partial(connect, database_url, "hot-pool-test", command_timeout=5.0), SIZE)
    yield pool
    await pool.close()


async def backend(pool: HotPool) -> int:
    """Which connection serves."""
    number: int = await pool.fetchval("SELECT pg_backend_pid()")
    return number


async def test_it_connects_when_needed_and_then_uses_the_same_connection(pool: HotPool) -> None:
    assert pool.idle == 0
    first = await backend(pool)
    assert [await backend(pool) for _ in range(5)] == [first] * 5
    assert pool.idle == 1


async def test_callers_beyond_its_size_are_served_in_their_order(pool: HotPool) -> None:
    served: list[int] = []

    async def ask(number: int) -> None:
        for _ in range(3):
            await pool.fetch("SELECT pg_sleep(0.005)")
        served.append(number)

    backends = await asyncio.gather(*(backend(pool) for _ in range(20)))
    assert len(set(backends)) == SIZE
    async with pool.acquire():  # one connection is left
        await asyncio.gather(*(ask(number) for number in range(20)))
    assert served == sorted(served), "a caller overtook others"


async def test_callers_of_the_same_moment_share_a_statement_and_each_gets_its_row(pool: HotPool) -> None:
    asked = "unnest($1::text[]) WITH ORDINALITY AS asked (key, position)"
    statement = f"SELECT key, count(*) OVER () FROM {asked} ORDER BY position"
    keys = ["b", "a", "b", "c"]
    rows = await asyncio.gather(*(pool.fetchrow_shared(statement, key) for key in keys))
    assert [tuple(row) for row in rows] == [(key, len(keys)) for key in keys]


async def test_a_caller_does_not_wait_forever(pool: HotPool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pool.acquire(), pool.acquire():
        # Not before: to open the connections may take longer.
        monkeypatch.setattr(hot_pool, "POOL_SECONDS", 0.05)
        with pytest.raises(TimeoutError):
            await pool.fetch("SELECT 1")
    assert await pool.fetchval("SELECT 1") == 1


async def test_a_caller_that_goes_away_while_it_waits_keeps_nothing(pool: HotPool) -> None:
    async with pool.acquire(), pool.acquire():
        waiting = [asyncio.create_task(pool.fetch("SELECT 1")) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert pool.idle == SIZE
    assert len(set(await asyncio.gather(*(backend(pool) for _ in range(10))))) == SIZE


async def test_an_error_of_the_statement_keeps_the_connection(pool: HotPool) -> None:
    first = await backend(pool)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await pool.fetch("SELECT 1 / 0")
    assert await backend(pool) == first


async def test_a_cancelled_statement_ends_and_the_connection_serves_again(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    first = await backend(pool)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await pool.fetch("SELECT pg_sleep(60)")
    active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1"
    assert await database.fetchval(active, "SELECT pg_sleep(60)") == 0
    assert await backend(pool) == first


async def test_a_connection_that_the_server_has_closed_is_replaced(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    first = await backend(pool)
    await database.execute("SELECT pg_terminate_backend($1, 1000)", first)
    await asyncio.sleep(0.01)
    assert await backend(pool) != first


async def test_a_connection_that_was_idle_for_long_is_replaced(
    pool: HotPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await backend(pool)
    monkeypatch.setattr(hot_pool, "MAX_IDLE_SECONDS", 0.0)
    assert await backend(pool) != first
    assert pool.idle == 1


async def test_a_failed_connect_leaves_room_for_the_next(database_url: str) -> None:
    async def refuse() -> asyncpg.Connection:
        raise ConnectionRefusedError

    pool = HotPool(refuse, 1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await pool.fetch("SELECT 1")


async def test_a_connection_in_use_when_the_pool_closes_ends_with_its_use(pool: HotPool) -> None:
    async with pool.acquire() as connection:
        await pool.close()
        assert await connection.fetchval("SELECT 1") == 1
    assert connection.is_closed()
    assert pool.idle == 0
