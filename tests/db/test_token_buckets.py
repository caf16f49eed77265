"""Token buckets: how often a process asks PostgreSQL for tokens, and what it does without an answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from math import ceil

import asyncpg
import pytest

from app.db import token_buckets
from app.db.engine import open_hot_pool
from app.db.hot_pool import HotPool
from app.db.token_buckets import BucketState, TokenBuckets
from app.ops.retention import prune_if_free
from app.resources import open_resources
from tests.support.clock import eventually
from tests.support.portal import settings_for
from tests.support.sandbox import Sandbox

MISSING = "SELECT extract(epoch FROM full_at - now())::float8 FROM rate_bucket"
WAITING_STATEMENTS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE datname = current_database() AND NOT granted
"""
LOCK = "BEGIN; LOCK TABLE rate_bucket IN ACCESS EXCLUSIVE MODE"


@pytest.fixture(autouse=True)
def _long_query_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may be slow to answer, and these tests are not about that time-out."""
    monkeypatch.setattr(token_buckets, "TAKE_SECONDS", 10.0)


@pytest.fixture
async def pool(database_url: str, database: asyncpg.Connection) -> AsyncIterator[HotPool]:
    async with open_hot_pool(settings_for(database_url, "http://nowhere.test")) as opened:
        yield opened


async def take(process: TokenBuckets, key: str, limit: int) -> BucketState:
    standing = await process.take(key, limit)
    assert standing is not None, "PostgreSQL was not asked, or did not answer"
    return standing


async def test_simultaneous_first_requests_share_one_portion(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    process = TokenBuckets(pool, "secret")
    await asyncio.gather(*(take(process, "ada", 600) for _ in range(token_buckets.FIRST_PORTION)))
    # A tenth of a second for each token.
    assert ceil(10 * await database.fetchval(MISSING)) <= token_buckets.FIRST_PORTION


async def test_one_portion_is_enough_for_all_that_wait_for_it(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    process, callers = TokenBuckets(pool, "secret"), 8 * token_buckets.FIRST_PORTION
    await asyncio.gather(*(take(process, "ada", 6000) for _ in range(callers)))
    assert await database.fetchval("SELECT portion FROM rate_bucket") == callers
    # A hundredth of a second for each token: there was no other portion.
    assert ceil(100 * await database.fetchval(MISSING)) <= callers


async def test_all_that_wait_for_a_portion_go_on_in_the_same_turn_of_the_event_loop(pool: HotPool) -> None:
    process, callers, loop = TokenBuckets(pool, "secret"), 32, asyncio.get_running_loop()
    turn, ended_in = 0, list[int]()

    def begin_turn() -> None:
        nonlocal turn
        turn += 1
        if len(ended_in) < callers:
            loop.call_soon(begin_turn)

    async def take_one() -> None:
        await take(process, "ada", 6000)
        ended_in.append(turn)

    begin_turn()
    await asyncio.gather(*(take_one() for _ in range(callers)))
    assert len({*ended_in}) == 1


async def test_a_request_that_is_cancelled_leaves_the_portion_to_those_that_wait_with_it(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    process = TokenBuckets(pool, "secret")
    await database.execute(LOCK)
    first, *others = [asyncio.create_task(take(process, "ada", 600)) for _ in range(3)]

    async def waits() -> bool:
        return bool(await database.fetchval(WAITING_STATEMENTS))

    await eventually(waits)
    first.cancel()
    await database.execute("ROLLBACK")
    assert [state.remaining for state in await asyncio.gather(*others)] == [599, 598]
    assert first.cancelled()


async def test_requests_that_wait_in_vain_are_refused_after_one_statement(
    pool: HotPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the next token comes within 60 µs, before they go on."""
    empty = "SELECT 0, $2::int * $3::float8 WHERE ($1::bytea, $4::int, $5::int) IS NOT NULL"
    monkeypatch.setattr(token_buckets, "_TAKE", empty)
    process = TokenBuckets(pool, "secret")
    async with asyncio.timeout(5):
        states = await asyncio.gather(*(take(process, "ada", 1_000_000) for _ in range(64)))
    assert not any(state.is_admitted for state in states)


async def test_a_portion_and_a_refusal_are_spent_without_postgresql(
    pool: HotPool, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = TokenBuckets(pool, "secret")
    await take(process, "ada", 600)
    await take(process, "grace", 1)
    assert not (await take(process, "grace", 1)).is_admitted
    # A request that needs PostgreSQL now gets no answer, and is admitted without a bucket state.
    monkeypatch.setattr(token_buckets, "TAKE_SECONDS", 0.1)
    await database.execute(LOCK)
    rest = [await take(process, "ada", 600) for _ in range(token_buckets.FIRST_PORTION - 1)]
    assert [standing.remaining for standing in rest] == [598, 597, 596]
    flood = [await take(process, "grace", 1) for _ in range(1000)]
    assert not any(standing.is_admitted for standing in flood)
    assert await process.take("ada", 600) is None
    await database.execute("ROLLBACK")


async def test_a_database_that_hangs_delays_one_request_and_only_briefly(
    pool: HotPool, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_buckets, "TAKE_SECONDS", 0.1)
    monkeypatch.setattr(token_buckets, "FAILURE_PAUSE_SECONDS", 1.0)
    process = TokenBuckets(pool, "secret")
    await database.execute(LOCK)
    began = time.monotonic()
    assert await asyncio.gather(*(process.take("ada", 1) for _ in range(20))) == [None] * 20
    assert [await process.take(f"buyer {i}", 1) for i in range(20)] == [None] * 20
    assert time.monotonic() - began < 1.0
    monkeypatch.setattr(token_buckets, "TAKE_SECONDS", 10.0)
    await database.execute("ROLLBACK")

    async def sees_again() -> BucketState | None:
        return await process.take("ada", 1)

    assert (await eventually(sees_again)) == BucketState(True, 0, 0.0)


async def test_a_busy_key_asks_less_and_less_often_and_a_new_one_takes_little(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    process = TokenBuckets(pool, "secret")
    portions = set()
    for _ in range(200):
        await take(process, "ada", 1_000_000)
        portions.add(await database.fetchval("SELECT portion FROM rate_bucket"))
    assert portions == {4, 8, 16, 32, 64, 128}


async def test_the_last_tokens_go_to_the_process_that_needs_them(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    one, other = TokenBuckets(pool, "secret"), TokenBuckets(pool, "secret")
    taken = [await take(process, "ada", 7) for _ in range(4) for process in (one, other)]
    assert [standing.is_admitted for standing in taken] == [True] * 7 + [False]
    assert [standing.remaining for standing in taken] == [6, 5, 4, 3, 2, 1, 0, 0]


async def test_a_smaller_limit_holds_at_once_for_what_is_in_the_table(
    pool: HotPool, database: asyncpg.Connection
) -> None:
    before, after = TokenBuckets(pool, "secret"), TokenBuckets(pool, "secret")
    for _ in range(300):
        await take(before, "ada", 600)
    assert (await take(after, "ada", 4)).remaining <= 2


async def test_a_forgotten_key_only_costs_another_query(
    pool: HotPool, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_buckets, "MAX_LOCAL_BUCKETS", 2)
    process = TokenBuckets(pool, "secret")
    taken = [await take(process, key, 3) for _ in range(4) for key in ("ada", "grace", "mary")]
    assert [standing.is_admitted for standing in taken] == [True] * 9 + [False] * 3


async def test_a_digest_is_nothing_without_the_secret(pool: HotPool, database: asyncpg.Connection) -> None:
    for secret in ("secret", "secret", "another"):
        await take(TokenBuckets(pool, secret), "address 192.0.2.1", 60)
    assert await database.fetchval("SELECT count(*) FROM rate_bucket") == 2


async def test_a_full_bucket_is_pruned_and_any_other_stays(
    pool: HotPool, database_url: str, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    process = TokenBuckets(pool, "secret")
    await take(process, "ada", 60)
    await database.execute("UPDATE rate_bucket SET full_at = now() - interval '601 seconds'")
    await take(process, "grace", 1)
    async with open_resources(settings_for(database_url, sandbox.url)) as resources:
        assert await prune_if_free(resources.engine, resources.leases) == 1
    assert await database.fetchval(MISSING) > 0
