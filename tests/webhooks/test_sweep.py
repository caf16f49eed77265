"""The sweep finds every event that the webhook missed, once, however many, and whichever process dies."""

import asyncio
import json
import signal
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import httpx
import pytest
import structlog

from app.digital_river.errors import Garbled
from app.resources import Resources
from app.webhooks.sweep import SweepBusy, sweep_if_due, sweep_now
from app.worker.handlers import HANDLERS
from tests.support.clock import eventually
from tests.support.digital_river import ScriptedDigitalRiver
from tests.support.events import INVOICE, invoice_event, kept_event_ids, operator_token, undelivered_events
from tests.support.portal import Portal, last_sweep, pass_time, running_scheduled_jobs
from tests.support.processes import running
from tests.support.sandbox import Sandbox

MONTH = timedelta(days=30)


async def test_a_dropped_event_becomes_a_document_its_owner_can_open(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await sandbox.fault("drop", eventType=INVOICE)
    await sandbox.invoiced(await sandbox.order("ada"))
    await pass_time(database, sandbox, 120)
    ops = await operator_token(sandbox)
    with structlog.testing.capture_logs() as logs:
        async with running_scheduled_jobs(portal):
            (document,) = await portal.documents(await sandbox.token("ada"), 1)
            sweep = await eventually(lambda: last_sweep(portal, ops))
    opened = await portal.get(f"/v1/documents/{document['id']}/content", await sandbox.token("ada"))
    assert opened.status_code == 303
    assert (sweep["found"], sweep["overdue"], sweep["error"]) == (1, 1, None)
    assert await database.fetchval("SELECT origin FROM webhook_event") == "sweep"
    alarms = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event"], line["found"]) for line in alarms] == [("sweep.found", 1)]
    assert (await portal.get("/ops/status", ops)).json()["sweptLastDay"] == 1


async def test_an_event_that_may_still_be_on_its_way_is_kept_without_an_alarm(
    resources: Resources, sandbox: Sandbox
) -> None:
    await undelivered_events(sandbox, 1)
    with structlog.testing.capture_logs() as logs:
        finds = await sweep_now(resources, HANDLERS, None)
    assert (finds.found, finds.overdue) == (1, 0)
    assert not [line for line in logs if line["log_level"] == "error"]


@pytest.mark.proof
async def test_many_pages_are_found_once_while_new_ones_happen(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    before = await undelivered_events(sandbox, 2050)
    sweeping = asyncio.create_task(sweep_now(resources, HANDLERS, MONTH))
    meanwhile: set[str] = set()
    while not sweeping.done():
        meanwhile |= await undelivered_events(sandbox, 5)
    first = await sweeping
    assert before <= await kept_event_ids(own_database)
    assert meanwhile
    second = await sweep_now(resources, HANDLERS, None)
    assert await kept_event_ids(own_database) == before | meanwhile
    assert first.found + second.found == len(before | meanwhile)


@pytest.mark.proof
async def test_events_found_before_a_failure_stay_and_the_watermark_does_not_move(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    ids = await undelivered_events(sandbox, 350)
    await sandbox.fault("delay", seconds=0.3, method="GET", path="/events")
    sweeping = asyncio.create_task(sweep_if_due(resources, HANDLERS))

    async def has_first_page() -> bool:
        return len(await kept_event_ids(own_database)) >= 100

    await eventually(has_first_page)
    await sandbox.fault("garbage", method="GET", path="/events", times=1)
    with pytest.raises(Exception, match="EventPage"):
        await sweeping
    assert 100 <= len(await kept_event_ids(own_database)) < 350
    (failed,) = await own_database.fetch("SELECT * FROM sweep")
    assert "Garbled" in failed["error"]
    assert await sweep_if_due(resources, HANDLERS) is None, "it must not be tried again at once"
    await pass_time(own_database, sandbox, 60)
    assert await sweep_if_due(resources, HANDLERS) is not None
    assert await kept_event_ids(own_database) == ids
    rows = await own_database.fetch("SELECT * FROM sweep ORDER BY id")
    assert rows[1]["error"] is None
    assert rows[1]["reaches_back_to"] == rows[1]["started_at"] - MONTH


async def test_the_sweep_waits_while_digital_river_is_busy(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    ids = await undelivered_events(sandbox, 3)
    await sandbox.fault("throttle", method="GET", path="/events", retryAfter=1, times=1)
    assert (await sweep_now(resources, HANDLERS, None)).found == 3
    assert await kept_event_ids(own_database) == ids


async def test_an_unreadable_event_stops_nothing(resources: Resources, sandbox: Sandbox) -> None:
    await undelivered_events(sandbox, 1)
    await sandbox.post(
        "/_sandbox/events", {"type": INVOICE, "object": {}, "id": "line\nbreak", "deliver": False}
    )
    await undelivered_events(sandbox, 1)
    finds = await sweep_now(resources, HANDLERS, None)
    assert (finds.seen, finds.found, finds.unreadable) == (3, 2, 1)


@pytest.mark.parametrize("reading", ["list", "text", "first"])
async def test_every_type_is_swept_whether_or_not_digital_river_accepts_several(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection, reading: str
) -> None:
    rules = await sandbox.client.put("/_sandbox/rules", json={"eventTypes": reading})
    rules.raise_for_status()
    ids = {
        id_ for event_type in HANDLERS for id_ in await undelivered_events(sandbox, 2, event_type=event_type)
    }
    await undelivered_events(sandbox, 1, event_type="order.something.else")
    assert (await sweep_now(resources, HANDLERS, None)).seen == len(ids) == 2 * len(HANDLERS)
    assert await kept_event_ids(own_database) == ids


async def test_an_event_that_is_listed_late_is_found_within_the_hour(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    while await sweep_if_due(resources, HANDLERS):
        pass
    # Twelve hours old when it is listed: long before the overlap of the short ones.
    await sandbox.post("/_sandbox/clock", {"advanceSeconds": -43_200})
    late = await undelivered_events(sandbox, 1)
    await sandbox.post("/_sandbox/clock", {"advanceSeconds": 43_200})
    for minutes in range(0, 60, 10):
        assert await kept_event_ids(own_database) == set(), f"after {minutes} minutes"
        await pass_time(own_database, sandbox, 600)
        assert await sweep_if_due(resources, HANDLERS) is not None
    assert await kept_event_ids(own_database) == late
    kinds = [row["kind"] for row in await own_database.fetch("SELECT kind FROM sweep ORDER BY id")]
    assert kinds == ["full", *["recent"] * 5, "day"]


async def test_a_list_that_repeats_itself_ends_and_hides_no_other(
    resources: Resources, own_database: asyncpg.Connection
) -> None:
    first, *others = sorted(HANDLERS)

    def page(request: httpx.Request) -> httpx.Response:
        event_type = request.url.params["type"]
        event = {**invoice_event(), "type": event_type, "id": event_type}
        return httpx.Response(200, json={"data": [event], "hasMore": event_type == first})

    scripted = ScriptedDigitalRiver([page])
    async with scripted.opened() as digital_river:
        with pytest.raises(Garbled, match="repeats itself"):
            await sweep_now(replace(resources, digital_river=digital_river), HANDLERS, None)
    assert [request.url.params["type"] for request in scripted.requests] == [first, first, *others]
    assert await kept_event_ids(own_database) == set(HANDLERS)


async def test_an_event_that_came_by_webhook_is_not_found_again(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    assert portal.app is not None
    await sandbox.invoiced(await sandbox.order("ada"))
    await portal.documents(await sandbox.token("ada"), 1)
    finds = await sweep_now(portal.app.state.resources, HANDLERS, MONTH)
    assert (finds.seen, finds.found) == (1, 0)
    row = await database.fetchrow("SELECT origin, state FROM webhook_event")
    assert tuple(row) == ("webhook", "done")


@pytest.mark.proof
async def test_only_one_sweeps_and_the_next_takes_over_within_a_minute_of_its_death(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    ids = await undelivered_events(sandbox, 2)
    await sandbox.fault("delay", seconds=60, method="GET", path="/events", times=1)
    async with running("worker", resources.settings) as worker:

        async def is_asking() -> int:
            return await sandbox.count("GET /events")

        await eventually(is_asking)
        assert await sweep_if_due(resources, HANDLERS) is None
        with pytest.raises(SweepBusy):
            await sweep_now(resources, HANDLERS, None)
        await worker.end(signal.SIGKILL)
    assert await sweep_if_due(resources, HANDLERS) is None, "the dead one's lease has not run out yet"
    await pass_time(own_database, sandbox, 60)
    finds = await sweep_if_due(resources, HANDLERS)
    assert finds is not None
    assert await kept_event_ids(own_database) == ids
    first = await own_database.fetchrow("SELECT error FROM sweep ORDER BY id")
    assert "died" in first["error"]


@pytest.mark.proof
async def test_a_sweep_longer_than_its_lease_keeps_it(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.webhooks.sweep.LEASE_SECONDS", 0.6)
    await sandbox.fault("delay", seconds=1.5, method="GET", path="/events")
    sweeping = asyncio.create_task(sweep_now(resources, HANDLERS, None))

    async def is_running() -> int:
        count: int = await own_database.fetchval("SELECT count(*) FROM sweep")
        return count

    await eventually(is_running)
    while not sweeping.done():
        held = await own_database.fetchval("SELECT held_until > now() FROM lease WHERE name = 'sweep'")
        assert held or sweeping.done()
        await asyncio.sleep(0.05)
    await sweeping
    assert not await own_database.fetchval("SELECT count(*) FROM lease")


async def test_bodies_are_kept_as_events_that_a_handler_can_read(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    subject = {**invoice_event()["data"]["object"], "note": "Grüße\u0000 €"}
    event_id = str(uuid4())
    await sandbox.post(
        "/_sandbox/events", {"type": INVOICE, "object": subject, "id": event_id, "deliver": False}
    )
    await sweep_now(resources, HANDLERS, None)
    row = await own_database.fetchrow("SELECT * FROM webhook_event")
    assert (row["id"], row["order_id"], row["state"]) == (event_id, subject["orderId"], "pending")
    # A listed event has no signature, so it is stored in a form that every reader accepts.
    assert json.loads(row["body"])["data"]["object"] == {**subject, "note": "Grüße\ufffd €"}
