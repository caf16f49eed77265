"""A worker stores what many events brought in one transaction, and each event succeeds or fails alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, TypeAlias

import asyncpg
import pytest
from prometheus_client import REGISTRY

from app.resources import open_resources
from app.settings import Settings
from app.worker.loop import Worker
from tests.support.clock import eventually
from tests.support.portal import settings_for
from tests.support.sandbox import Json, Sandbox
from tests.worker.test_worker import keep

Database: TypeAlias = asyncpg.Connection
EVENTS = 6


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process."""
    stop = asyncio.Event()
    async with open_resources(settings) as resources:
        working = asyncio.create_task(Worker(resources).run(stop))
        try:
            yield
        finally:
            stop.set()
            await working


async def announced(sandbox: Sandbox, count: int) -> list[Json]:
    """Events of invoices that the portal has not heard of."""
    for _ in range(count):
        await sandbox.invoiced(await sandbox.order("ada"))
    listed: list[Json] = (await sandbox.get("/events", type="order.invoice.created", limit=100))["data"]
    return listed


def file_of(event: Json) -> str:
    file_id: str = event["data"]["object"]["fileId"]
    return file_id


def links_made() -> float:
    return REGISTRY.get_sample_value("portal_link_renewals_total", {"how": "minted"}) or 0.0


@pytest.fixture
def own_database_url(new_database_url: str) -> str:
    """A test here changes its schema."""
    return new_database_url


@asynccontextmanager
async def settling_together(own_database: Database, settings: Settings) -> AsyncIterator[None]:
    """A worker that has a link for every event, and cannot store a document before the block ends. The
    first settled event waits for the table, and the others wait for the first."""
    before = links_made()
    async with running_worker(settings):
        async with own_database.transaction():
            await own_database.execute("LOCK document IN EXCLUSIVE MODE")
            # The events are due when this is committed, and the worker looks at once.
            await notify_elsewhere(settings)

            async def all_fetched() -> bool:
                return links_made() == before + EVENTS

            await eventually(all_fetched)
            yield

        async def settled() -> bool:
            busy = "SELECT count(*) FROM webhook_event WHERE state = 'pending' AND reason IS NULL"
            lost = "SELECT count(*) FROM webhook_event WHERE claims > 1"
            return bool(
                await own_database.fetchval(busy) == await own_database.fetchval(lost)
                and not await own_database.fetchval("SELECT count(*) FROM lease WHERE name LIKE 'link:%'")
            )

        await eventually(settled)


async def notify_elsewhere(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute("NOTIFY portal_inbox")
    await connection.close()


async def states(database: Database) -> dict[str, Any]:
    return {row["id"]: row for row in await database.fetch("SELECT xmin, * FROM webhook_event")}


@pytest.mark.proof
async def test_events_that_end_at_the_same_moment_share_a_transaction(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    await keep(own_database, *await announced(sandbox, EVENTS))
    async with settling_together(own_database, settings_for(own_database_url, sandbox.url)):
        pass
    rows = (await states(own_database)).values()
    assert [row["state"] for row in rows] == EVENTS * ["done"]
    assert len({row["xmin"] for row in rows}) == 2
    for table in ("document", "file_link"):
        assert await own_database.fetchval(f"SELECT count(*) FROM {table}") == EVENTS


async def test_an_event_that_postgresql_refuses_fails_alone(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    events = await announced(sandbox, EVENTS)
    await keep(own_database, *events)
    poison = events[2]
    await own_database.execute(
        f"ALTER TABLE file_link ADD CONSTRAINT refused CHECK (file_id <> '{file_of(poison)}')"
    )
    async with settling_together(own_database, settings_for(own_database_url, sandbox.url)):
        pass
    rows = await states(own_database)
    assert {row["id"] for row in rows.values() if row["state"] == "done"} == rows.keys() - {poison["id"]}
    failed = rows[poison["id"]]
    assert (failed["state"], failed["attempts"], failed["reason"]) == ("pending", 1, "IntegrityError")
    stored = {row["file_id"] for row in await own_database.fetch("SELECT file_id FROM document")}
    assert stored == {file_of(event) for event in events} - {file_of(poison)}


@pytest.mark.proof
async def test_of_an_event_that_another_worker_took_nothing_is_stored(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    events = await announced(sandbox, EVENTS)
    await keep(own_database, *events)
    other_worker = await asyncpg.connect(own_database_url)
    async with settling_together(own_database, settings_for(own_database_url, sandbox.url)):
        # One of those that wait: the first one's row is locked by its transaction.
        taken = await other_worker.fetchval(
            """UPDATE webhook_event SET claims = claims + 1
               WHERE id = (SELECT id FROM webhook_event LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id"""
        )
    await other_worker.close()
    rows = await states(own_database)
    assert {row["id"] for row in rows.values() if row["state"] == "done"} == rows.keys() - {taken}
    assert (rows[taken]["state"], rows[taken]["claims"], rows[taken]["reason"]) == ("pending", 2, None)
    (missing,) = (file_of(event) for event in events if event["id"] == taken)
    for table in ("document", "file_link"):
        stored = {row["file_id"] for row in await own_database.fetch(f"SELECT file_id FROM {table}")}
        assert stored == {file_of(event) for event in events} - {missing}


def handled(result: str) -> float:
    labels = {"type": "order.invoice.created", "result": result}
    return REGISTRY.get_sample_value("portal_events_handled_total", labels) or 0.0


@pytest.mark.proof
async def test_an_event_whose_time_ends_during_its_commit_is_done_and_not_lost(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    await keep(own_database, *await announced(sandbox, EVENTS))
    done, lost = handled("done"), handled("lease_lost")
    # The handlers have four of these five seconds.
    settings = settings_for(own_database_url, sandbox.url, worker_lease=5.0)
    async with settling_together(own_database, settings):

        async def time_is_over() -> bool:
            nearly_due = (
                "SELECT count(*) FROM webhook_event WHERE due_at < clock_timestamp() + interval '0.8 s'"
            )
            return bool(await own_database.fetchval(nearly_due) == EVENTS)

        await eventually(time_is_over)
    assert (handled("done") - done, handled("lease_lost") - lost) == (EVENTS, 0)


@pytest.mark.proof
async def test_a_worker_takes_no_more_events_than_its_budget_serves(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    await keep(own_database, *await announced(sandbox, EVENTS))
    await sandbox.fault("delay", seconds=60, path="/files/{id}")
    # Twelve background calls a second are four events, and a quarter of each one's time is half a second.
    settings = settings_for(
        own_database_url, sandbox.url, digital_river_requests_per_second=24, worker_lease=2.5
    )
    async with running_worker(settings.model_copy(update={"worker_grace": 0.1})):

        async def is_asking() -> bool:
            return await sandbox.count("GET /files/{id}") == 2

        await eventually(is_asking)
        claimed = "SELECT count(*) FROM webhook_event WHERE due_at > now()"
        assert await own_database.fetchval(claimed) == 2


async def test_events_that_may_have_killed_a_worker_are_handled_one_after_the_other(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    await keep(own_database, *await announced(sandbox, 4))
    await own_database.execute("UPDATE webhook_event SET attempts = 4")
    await sandbox.fault("delay", seconds=0.2, path="/files/{id}")
    async with running_worker(settings_for(own_database_url, sandbox.url)):

        async def all_done() -> bool:
            done = "SELECT count(*) FROM webhook_event WHERE state = 'done'"
            return bool(await own_database.fetchval(done) == 4)

        await eventually(all_done)
    rows = (await states(own_database)).values()
    ends = sorted(row["finished_at"].timestamp() for row in rows)
    assert min(after - before for before, after in pairwise(ends)) > 0.19
    assert {row["attempts"] for row in rows} == {5}
