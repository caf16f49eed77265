"""The inbox: what a claim takes, and what each outcome of an attempt stores."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest

from app.ids import EventId
from app.resources import Resources
from app.webhooks import inbox, ingest
from app.webhooks.inbox import Claim, LeaseLost
from app.webhooks.ingest import NewEvent

Database: TypeAlias = asyncpg.Connection
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def own_database_url(new_database_url: str) -> str:
    """These tests replace its clock and its settings."""
    return new_database_url


async def stop_the_clock(database: Database) -> None:
    """It is noon from now on, to the microsecond."""
    await database.execute(
        f"""CREATE OR REPLACE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
            RETURN timestamptz '{NOON}'"""
    )


async def keep(database: Database, due: Iterable[tuple[str, timedelta]], *, state: str = "pending") -> None:
    """Events that were received an hour before noon, and are due so long after it."""
    await database.executemany(
        """INSERT INTO webhook_event (id, type, state, origin, body, received_at, due_at)
           VALUES ($1, 't', $2, 'webhook', '{"id": "' || $1 || '"}', $3, $4)""",
        [(event_id, state, NOON - timedelta(hours=1), NOON + after) for event_id, after in due],
    )


async def claim(resources: Resources, *, limit: int, lease: float) -> list[Claim]:
    async with resources.engine.begin() as connection:
        return await inbox.claim_events(connection, limit=limit, lease=lease)


async def find_wait(resources: Resources) -> float | None:
    async with resources.engine.connect() as connection:
        return await inbox.find_seconds_until_due(connection)


async def row_of(database: Database, event_id: str) -> dict[str, Any]:
    row = dict(await database.fetchrow("SELECT * FROM webhook_event WHERE id = $1", event_id))
    return row | {"errors": json.loads(row["errors"])}


@pytest.fixture
async def held(own_database: Database, resources: Resources) -> Claim:
    """`e1`, claimed at noon for a minute, beside `e2` that another worker holds."""
    await stop_the_clock(own_database)
    await keep(own_database, [("e2", timedelta(0))])
    await claim(resources, limit=1, lease=60)
    await keep(own_database, [("e1", timedelta(0))])
    (held,) = await claim(resources, limit=1, lease=60)
    return held


async def test_new_events_are_kept_whole_and_known_ones_left_alone(
    own_database: Database, resources: Resources
) -> None:
    await stop_the_clock(own_database)
    handled = NewEvent(EventId("e1"), "order.invoice.created", "pending", "o1", NOON, '{"id": "e1"}')
    ignored = NewEvent(EventId("e2"), "order.updated", "ignored", None, None, None, b"digest")
    assert await ingest.insert_events(resources.hot_pool, [handled], "webhook") == {"e1"}
    assert await ingest.insert_events(resources.hot_pool, [ignored, handled], "sweep") == {"e2"}
    names = ("type", "state", "order_id", "happened_at", "body", "body_digest", "origin", "finished_at")
    kept = {
        name: tuple(row[n] for n in names)
        for name in ("e1", "e2")
        if (row := await row_of(own_database, name))
    }
    assert kept == {
        "e1": ("order.invoice.created", "pending", "o1", NOON, '{"id": "e1"}', None, "webhook", None),
        "e2": ("order.updated", "ignored", None, None, None, b"digest", "sweep", NOON),
    }


async def test_workers_are_notified_of_new_events_only(own_database: Database, resources: Resources) -> None:
    heard: list[str] = []
    notified = asyncio.Event()

    def hear(_connection: object, _pid: int, channel: str, payload: object) -> None:
        heard.append(str(payload))
        notified.set()

    await own_database.add_listener(inbox.CHANNEL, hear)
    event = NewEvent(EventId("e1"), "t", "ignored", None, None, "{}")
    await ingest.insert_events(resources.hot_pool, [event], "webhook")
    await ingest.insert_events(resources.hot_pool, [event], "webhook")
    # Notifications arrive in the order of their transactions: after this one nothing is on its way.
    await own_database.execute(f"NOTIFY {inbox.CHANNEL}, 'the end'")
    async with asyncio.timeout(5):
        while "the end" not in heard:
            notified.clear()
            await notified.wait()
    assert heard == ["", "the end"]


async def without_indexes(database: Database) -> None:
    """Connections made from now on read tables as they lie, so that no order comes about by itself."""
    await database.execute(
        """DO $$ BEGIN
           EXECUTE format('ALTER DATABASE %I SET enable_indexscan = off', current_database());
           EXECUTE format('ALTER DATABASE %I SET enable_bitmapscan = off', current_database());
           END $$"""
    )


async def test_a_claim_takes_what_is_due_and_open_the_longest_due_first(
    own_database: Database, resources: Resources
) -> None:
    await stop_the_clock(own_database)
    await without_indexes(own_database)
    second = timedelta(seconds=1)
    await keep(
        own_database, [("later", second), ("now", 0 * second), ("first", -2 * second), ("old", -second)]
    )
    for state in ("done", "ignored", "buried"):
        await keep(own_database, [(state, -3 * second)], state=state)
    hour = timedelta(hours=1)
    claims = await claim(resources, limit=1, lease=30)
    assert claims == [Claim(EventId("first"), "t", '{"id": "first"}', 1, 1, hour, 0)]
    row = await row_of(own_database, "first")
    assert (row["due_at"], row["attempts"], row["claims"]) == (NOON + timedelta(seconds=30), 1, 1)
    assert {held.id for held in await claim(resources, limit=9, lease=0)} == {"now", "old"}
    # A lease of no length is over at once.
    again = await claim(resources, limit=9, lease=30)
    assert {(held.id, held.attempts, held.number) for held in again} == {("now", 2, 2), ("old", 2, 2)}


async def test_a_claim_does_not_wait_for_another_claim(own_database: Database, resources: Resources) -> None:
    await stop_the_clock(own_database)
    await keep(own_database, [("theirs", timedelta(0)), ("free", timedelta(0))])
    async with own_database.transaction(), asyncio.timeout(5):
        await own_database.execute("SELECT FROM webhook_event WHERE id = 'theirs' FOR UPDATE")
        claims = await claim(resources, limit=5, lease=30)
    assert [held.id for held in claims] == ["free"]


async def test_a_finished_event_is_done_at_that_moment(
    own_database: Database, resources: Resources, held: Claim
) -> None:
    await own_database.execute("UPDATE webhook_event SET reason = 'the last attempt failed'")
    async with resources.engine.begin() as connection:
        assert await inbox.finish_events(connection, [held]) == {held}
    row = await row_of(own_database, "e1")
    assert (row["state"], row["finished_at"], row["reason"]) == ("done", NOON, None)
    assert (await row_of(own_database, "e2"))["state"] == "pending"


async def test_a_buried_event_records_when_and_why(
    own_database: Database, resources: Resources, held: Claim
) -> None:
    async with resources.engine.begin() as connection:
        await inbox.bury(connection, held, "unreadable")
    row = await row_of(own_database, "e1")
    assert (row["state"], row["finished_at"], row["reason"]) == ("buried", NOON, "unreadable")
    (error,) = row["errors"]
    assert (error["attempt"], datetime.fromisoformat(error["at"]), error["error"]) == (1, NOON, "unreadable")


async def test_a_retried_event_waits_and_remembers_the_error_of_each_attempt(
    own_database: Database, resources: Resources, held: Claim
) -> None:
    async with resources.engine.begin() as connection:
        await inbox.retry(connection, held, delay=timedelta(0), error="reset")
    (held,) = await claim(resources, limit=1, lease=60)
    async with resources.engine.begin() as connection:
        await inbox.retry(connection, held, delay=timedelta(seconds=7), error="timeout")
    row = await row_of(own_database, "e1")
    assert (row["state"], row["attempts"], row["finished_at"]) == ("pending", 2, None)
    assert (row["due_at"], row["reason"]) == (NOON + timedelta(seconds=7), "timeout")
    assert [(error["attempt"], error["error"]) for error in row["errors"]] == [(1, "reset"), (2, "timeout")]


async def test_a_postponed_event_has_spent_no_attempt(
    own_database: Database, resources: Resources, held: Claim
) -> None:
    async with resources.engine.begin() as connection:
        await inbox.postpone(connection, held, delay=timedelta(seconds=7), reason="throttled")
    row = await row_of(own_database, "e1")
    assert (row["state"], row["attempts"], row["claims"]) == ("pending", 0, 1)
    assert (row["due_at"], row["reason"]) == (NOON + timedelta(seconds=7), "throttled")
    assert row["errors"] == []


async def test_a_holder_loses_an_event_that_an_operator_or_worker_settled(
    own_database: Database, resources: Resources, held: Claim
) -> None:
    for change in ("state = 'buried'", "state = 'pending', claims = claims + 1"):
        await own_database.execute(f"UPDATE webhook_event SET {change}")
        with pytest.raises(LeaseLost, match="e1"):
            async with resources.engine.begin() as connection:
                await inbox.bury(connection, held, "late")
        async with resources.engine.begin() as connection:
            assert await inbox.finish_events(connection, [held]) == set()


@pytest.mark.proof
async def test_the_wait_lasts_until_the_next_open_event_is_due(
    own_database: Database, resources: Resources
) -> None:
    await stop_the_clock(own_database)
    second = timedelta(seconds=1)
    await keep(own_database, [("done", -second)], state="done")
    assert await find_wait(resources) is None
    await keep(own_database, [("later", 60 * second), ("next", 1.5 * second)])
    assert await find_wait(resources) == 1.5
    await keep(own_database, [("overdue", -60 * second)])
    assert await find_wait(resources) == 0
