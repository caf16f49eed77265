"""`portal events` and `portal sweep` do what /ops does, with readable output and without a token."""

import json

import asyncpg
import pytest

from tests.support.clock import eventually
from tests.support.events import invoice_event
from tests.support.portal import running_portal, settings_for
from tests.support.processes import portal_command
from tests.support.sandbox import Json, Sandbox


async def bury(
    database: asyncpg.Connection, event: Json, reason: str = "unusable or missing in data.object: x"
) -> None:
    error = [{"attempt": 1, "at": "2026-01-31T09:30:01Z", "error": reason}]
    await database.execute(
        """INSERT INTO webhook_event (id, type, state, origin, order_id, body, finished_at, reason, errors)
           VALUES ($1, $2, 'buried', 'webhook', $3, $4, now(), $5, $6)""",
        event["id"],
        event["type"],
        event["data"]["object"]["orderId"],
        json.dumps(event),
        reason,
        json.dumps(error),
    )


async def test_events_are_listed_as_a_table_and_shown_with_each_error(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    event = invoice_event()
    await bury(own_database, event, "a reason that is much longer than a terminal's line may be " * 2)
    settings = settings_for(own_database_url, sandbox.url)
    listed = await portal_command(settings, "events", "list", "--state", "buried")
    assert (listed.status, listed.errors) == (0, "")
    header, row = listed.output.splitlines()
    assert header.split() == ["RECEIVED", "ID", "TYPE", "STATE", "ORIGIN", "ATTEMPTS", "ORDER", "REASON"]
    assert row.index(event["id"]) == header.index("ID")
    assert row.index("a reason") == header.index("REASON")
    assert row.endswith("…")
    shown = await portal_command(settings, "events", "show", event["id"])
    assert "attempt 1 at 2026-01-31T09:30:01Z: a reason that is much longer" in shown.output
    # The body of the event may hold personal data.
    assert event["data"]["object"]["customerId"] not in listed.output + shown.output
    nothing = await portal_command(settings, "events", "list", "--state", "pending")
    assert (nothing.status, nothing.output) == (0, "No such events.\n")
    unknown = await portal_command(settings, "events", "show", "nobody")
    assert (unknown.status, "no event nobody" in unknown.errors) == (1, True)


@pytest.mark.proof
async def test_revived_events_are_handled_with_all_their_attempts(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    file_id = await sandbox.invoiced(await sandbox.order("ada"))
    (event,) = (await sandbox.get("/events", type="order.invoice.created"))["data"]
    await bury(own_database, event)
    settings = settings_for(own_database_url, sandbox.url)
    revived = await portal_command(settings, "events", "revive", event["id"])
    assert (revived.status, revived.output) == (0, "1 events revived.\n")
    again = await portal_command(settings, "events", "revive", event["id"])
    assert (again.status, event["id"] in again.errors) == (1, True)
    async with running_portal(own_database_url, sandbox.url) as portal:
        await portal.documents(await sandbox.token("ada"), 1)
        await portal.settle(own_database)
    assert len((await sandbox.get("/file-links", fileId=file_id))["data"]) == 1


@pytest.mark.proof
async def test_a_revived_event_that_waits_after_a_failure_waits_no_longer(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await sandbox.invoiced(await sandbox.order("ada"))
    (event,) = (await sandbox.get("/events", type="order.invoice.created"))["data"]
    await sandbox.fault("status", status=500, path="/files/{id}")
    async with running_portal(own_database_url, sandbox.url) as portal:
        await portal.deliver(event)
        failed = """UPDATE webhook_event SET due_at = now() + interval '6 hours'
                    WHERE jsonb_array_length(errors) = attempts AND attempts > 0 RETURNING attempts"""
        attempts = await eventually(lambda: own_database.fetchval(failed))
        (await sandbox.client.delete("/_sandbox/faults")).raise_for_status()
        revived = await portal_command(portal.settings, "events", "revive", "--all")
        assert revived.output == "1 events revived.\n"
        await portal.documents(await sandbox.token("ada"), 1)
        await portal.settle(own_database)
    assert await own_database.fetchval("SELECT attempts FROM webhook_event") > attempts


@pytest.mark.proof
async def test_all_events_of_a_type_are_revived_at_once(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    memo = {**invoice_event(), "type": "order.credit_memo.created"}
    for event in (invoice_event(), invoice_event(), memo):
        await bury(own_database, event)
    settings = settings_for(own_database_url, sandbox.url)
    some = await portal_command(settings, "events", "revive", "--all", "--type", "order.invoice.created")
    assert some.output == "2 events revived.\n"
    assert (
        await own_database.fetchval("SELECT type FROM webhook_event WHERE state = 'buried'") == memo["type"]
    )
    rest = await portal_command(settings, "events", "revive", "--all")
    assert rest.output == "1 events revived.\n"
    neither = await portal_command(settings, "events", "revive")
    assert neither.status == 2


@pytest.mark.proof
async def test_the_sweep_prints_what_it_found(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await sandbox.invoiced(await sandbox.order("ada"))
    settings = settings_for(own_database_url, sandbox.url)
    swept = await portal_command(settings, "sweep", "--days", "30")
    assert swept.status == 0
    assert swept.output.startswith("1 events seen, 1 of them were missing")
    assert await own_database.fetchval("SELECT origin FROM webhook_event") == "sweep"
    await sandbox.fault("status", status=403, method="GET", path="/events")
    refused = await portal_command(settings, "sweep")
    assert refused.status == 1
    assert "Digital River: Unauthorised" in refused.errors


@pytest.mark.parametrize("arguments", [("events", "list"), ("events", "show", "e1"), ("sweep",)])
async def test_a_missing_database_is_reported_in_one_line(
    sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:9/none", sandbox.url)
    printed = await portal_command(settings, *arguments)
    assert printed.status == 1
    assert "PostgreSQL at 127.0.0.1:9 cannot be reached" in printed.errors
    assert "Traceback" not in printed.errors
