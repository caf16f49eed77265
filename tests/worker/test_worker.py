"""The worker stores one document per file whatever dies, and no failing event delays another."""

import asyncio
import json
import signal
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import create_engine
from app.webhooks import inbox
from app.webhooks.inbox import Claim, LeaseLost
from app.worker.retry_policy import MAX_ATTEMPTS
from tests.support.clock import eventually
from tests.support.events import invoice_event
from tests.support.portal import Portal, pass_time, running_portal, settings_for
from tests.support.processes import running
from tests.support.sandbox import Json, Sandbox

Database: TypeAlias = asyncpg.Connection


async def keep(database: Database, *events: Json) -> None:
    """Put events into the inbox as the webhook endpoint does, without a worker hearing of it first."""
    await database.executemany(
        """INSERT INTO webhook_event (id, type, state, origin, body)
           VALUES ($1, $2, 'pending', 'webhook', $3)""",
        [(event["id"], event["type"], json.dumps(event)) for event in events],
    )


async def claim(engine: AsyncEngine, *, limit: int, lease: float) -> list[Claim]:
    async with engine.begin() as connection:
        return await inbox.claim_events(connection, limit=limit, lease=lease)


async def state_of(database: Database, event_id: str) -> Any:
    return await database.fetchrow("SELECT * FROM webhook_event WHERE id = $1", event_id)


@pytest.fixture
async def engine(own_database_url: str) -> Any:
    engine = create_engine(own_database_url)
    yield engine
    await engine.dispose()


@pytest.mark.proof
async def test_a_worker_killed_between_minting_and_commit_leaves_one_document_and_one_link(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    file_id = await sandbox.invoiced(await sandbox.order("ada"))
    event = (await sandbox.get("/events", type="order.invoice.created"))["data"][0]
    settings = settings_for(own_database_url, sandbox.url, worker_lease=15.0)
    await keep(own_database, event)
    # Digital River creates the link at once and answers late: the worker dies in between.
    await sandbox.fault("delay", seconds=30, afterwards=True, method="POST", path="/file-links", times=1)
    async with running("worker", settings) as worker:

        async def minted() -> list[Json]:
            found: list[Json] = (await sandbox.get("/file-links", fileId=file_id))["data"]
            return found

        (link,) = await eventually(minted)
        await worker.end(signal.SIGKILL)
    assert await own_database.fetchval("SELECT count(*) FROM document") == 0
    # Long enough for the claims of the dead worker to expire.
    await pass_time(own_database, sandbox, 20)
    async with running_portal(own_database_url, sandbox.url) as portal:
        (document,) = await portal.documents(await sandbox.token("ada"), 1)
        await portal.settle(own_database)
    assert document["link"]["url"] == link["url"]
    assert len((await sandbox.get("/file-links", fileId=file_id))["data"]) == 1
    row = await state_of(own_database, event["id"])
    assert (row["state"], row["attempts"]) == ("done", 2)


@pytest.mark.proof
async def test_a_worker_that_stops_postpones_events_it_cannot_finish(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    await sandbox.invoiced(await sandbox.order("ada"))
    event = (await sandbox.get("/events", type="order.invoice.created"))["data"][0]
    await keep(own_database, event)
    await sandbox.fault("delay", seconds=60, path="/files/{id}")
    settings = settings_for(own_database_url, sandbox.url, worker_lease=60.0)
    async with running("worker", settings, PORTAL_WORKER_GRACE="0.2") as worker:

        async def is_asking() -> int:
            return await sandbox.count("GET /files/{id}")

        await eventually(is_asking)
        assert await worker.end(signal.SIGTERM) == 0
    row = await state_of(own_database, event["id"])
    assert (row["state"], row["attempts"]) == ("pending", 0)
    assert row["due_at"] <= await own_database.fetchval("SELECT now()")


@pytest.mark.proof
async def test_several_workers_share_the_work_without_repeating_any(
    own_database: Database, own_database_url: str, sandbox: Sandbox
) -> None:
    orders = [await sandbox.order("ada") for _ in range(12)]
    for order in orders:
        await sandbox.invoiced(order)
    events = (await sandbox.get("/events", type="order.invoice.created", limit=100))["data"]
    await keep(own_database, *events)
    few = partial(running_portal, own_database_url, sandbox.url, worker_concurrency=4)
    async with few() as portal, few(), few():
        documents = await portal.documents(await sandbox.token("ada"), 12)
    assert {document["orderId"] for document in documents} == {order["id"] for order in orders}
    assert await sandbox.count("POST /file-links") == 12
    assert {row["attempts"] for row in await own_database.fetch("SELECT attempts FROM webhook_event")} == {1}


@pytest.mark.proof
async def test_an_event_that_kills_its_worker_is_buried_in_the_end(
    portal: Portal, database: Database
) -> None:
    event = invoice_event()
    await keep(database, event)
    await database.execute("UPDATE webhook_event SET attempts = $1", MAX_ATTEMPTS)
    await database.execute("NOTIFY portal_inbox")

    async def buried() -> Any:
        row = await state_of(database, event["id"])
        return row if row["state"] == "buried" else None

    assert "attempts came to an end" in (await eventually(buried))["reason"]


async def test_an_event_before_its_file_is_handled_when_the_file_appears(
    portal: Portal, sandbox: Sandbox, database: Database
) -> None:
    await sandbox.fault("hide", path="/files/{id}", times=1)
    await sandbox.invoiced(await sandbox.order("ada"))

    async def postponed() -> Any:
        return await database.fetchrow(
            "SELECT * FROM webhook_event WHERE state = 'pending' AND reason IS NOT NULL"
        )

    row = await eventually(postponed)
    assert "Missing" in row["reason"]
    await pass_time(database, sandbox, 10)
    await database.execute("NOTIFY portal_inbox")
    await portal.documents(await sandbox.token("ada"), 1)


async def test_an_event_that_cannot_succeed_delays_no_other(
    portal: Portal, sandbox: Sandbox, database: Database
) -> None:
    for _ in range(20):
        await portal.deliver(invoice_event())
    await sandbox.invoiced(await sandbox.order("ada"))
    await portal.documents(await sandbox.token("ada"), 1)


async def test_an_expired_claim_can_neither_finish_nor_bury(
    own_database: Database, engine: AsyncEngine
) -> None:
    event = invoice_event()
    await keep(own_database, event)
    (first,) = await claim(engine, limit=5, lease=0)
    (second,) = await claim(engine, limit=5, lease=30)
    assert (second.number, second.attempts) == (first.number + 1, 2)
    settlings = (
        partial(inbox.bury, claim=first, reason="late"),
        partial(inbox.retry, claim=first, delay=timedelta(0), error="late"),
        partial(inbox.postpone, claim=first, delay=timedelta(0), reason=None),
    )
    for settle in settlings:
        with pytest.raises(LeaseLost):
            async with engine.begin() as connection:
                await settle(connection)
    async with engine.begin() as connection:
        assert await inbox.finish_events(connection, [first, second]) == {second}
    assert (await state_of(own_database, event["id"]))["state"] == "done"


async def test_simultaneous_claims_never_share_an_event(own_database: Database, engine: AsyncEngine) -> None:
    await keep(own_database, *(invoice_event() for _ in range(40)))
    batches = await asyncio.gather(*(claim(engine, limit=7, lease=30) for _ in range(8)))
    ids = [held.id for batch in batches for held in batch]
    assert len(ids) == len(set(ids)) == 40
    assert max(len(batch) for batch in batches) <= 7


@pytest.mark.proof
async def test_the_worker_wakes_without_a_notification(
    portal: Portal, database: Database, sandbox: Sandbox
) -> None:
    await keep(database, {**invoice_event(orderId=None)})

    async def buried() -> int:
        count: int = await database.fetchval("SELECT count(*) FROM webhook_event WHERE state = 'buried'")
        return count

    await eventually(buried)
