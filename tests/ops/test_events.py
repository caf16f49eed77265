"""Operators can find every event, see its state and revive it."""

from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
import structlog

from tests.support.clock import eventually
from tests.support.events import invoice_event
from tests.support.portal import Portal, running_portal, settings_for
from tests.support.processes import portal_command
from tests.support.proofs import proofs_except
from tests.support.sandbox import Json, Sandbox

IDS = {
    "a slash": "a/b",
    "a space": "a b",
    "a parent": "..",
    "a folder": ".",
    "a way up": "../ops/status",
    "150 characters": "x" * 150,
    "all that fits": "名" * 200,
    "a percent sign": "100%",
    "encoded already": "a%2Fb",
    "a query": "what?is=this#here",
    "our own verb": "x/revive",
    "only slashes": "//",
    "an umlaut": "Grüße",
    "a quote": 'O\'Hara "x" \\',
    "a dash": "-x",
}


@pytest.fixture
async def ops(sandbox: Sandbox) -> dict[str, str]:
    return await sandbox.token("operator", scopes=["portal:ops"])


def address(event_id: str) -> str:
    # A dot is no reserved character; but clients take even encoded dots for a parent unless told otherwise.
    return f"/ops/events/{quote(event_id, safe='').replace('.', '%2E')}"


@pytest.mark.parametrize(
    "event_id", proofs_except([IDS["a way up"], IDS["all that fits"]], IDS.values()), ids=IDS
)
async def test_what_the_webhook_accepts_is_shown_and_revived(
    portal: Portal, ops: dict[str, str], database: asyncpg.Connection, event_id: str
) -> None:
    event = invoice_event(orderId="order/7 b", fileId=None, id=None)
    assert (await portal.deliver({**event, "id": event_id})).json()["id"] == event_id

    async def buried() -> Any:
        answer = await portal.get(address(event_id), ops)
        shown = answer.raise_for_status().json()
        return shown if shown["state"] == "buried" else None

    shown = await eventually(buried)
    assert (shown["id"], shown["orderId"]) == (event_id, "order/7 b")
    for found in ({"id": event_id}, {"orderId": "order/7 b"}, {"type": event["type"]}):
        listed = (await portal.get("/ops/events", ops, **found)).raise_for_status().json()["data"]
        assert [one["id"] for one in listed] == [event_id]
    revived = await portal.client.post(f"{address(event_id)}/revive", headers=ops)
    assert (revived.status_code, revived.json()["id"]) == (200, event_id)
    await eventually(buried)
    unknown = await portal.get(address(f"{event_id[:190]}-else"), ops)
    assert unknown.status_code == 404


async def test_the_log_names_the_route_as_the_document_does(portal: Portal, ops: dict[str, str]) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await portal.get(address("a/b"), ops)
    (line,) = [line for line in logs if line["event"] == "request"]
    assert (line["route"], line["status"]) == ("/ops/events/{eventId}", 404)


@pytest.mark.proof
async def test_the_command_line_shows_every_event(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await own_database.executemany(
        """INSERT INTO webhook_event (id, type, state, origin, body, finished_at, reason)
           VALUES ($1, 't', 'buried', 'webhook', '{}', now(), 'unusable')""",
        [(event_id,) for event_id in IDS.values()],
    )
    settings = settings_for(own_database_url, sandbox.url)
    listed = await portal_command(settings, "events", "list")
    assert all(event_id in listed.output for event_id in IDS.values())
    shown = await portal_command(settings, "events", "show", "--", IDS["a dash"])
    assert (shown.status, "unusable" in shown.output) == (0, True)
    revived = await portal_command(settings, "events", "revive", "--", *IDS.values())
    assert (revived.output, revived.errors) == (f"{len(IDS)} events revived.\n", "")


@pytest.mark.parametrize("query", ["id=", "id=%00", "type=%00", "orderId=a%0Ab", "id=" + "x" * 201])
async def test_an_id_that_no_event_can_have_is_refused(
    portal: Portal, ops: dict[str, str], query: str
) -> None:
    assert (await portal.client.get(f"/ops/events?{query}", headers=ops)).status_code == 422
    text = query.partition("=")[2]
    for verb in (portal.client.get, portal.client.post):
        path = f"/ops/events/{text}" + ("/revive" if verb == portal.client.post else "")
        assert (await verb(path, headers=ops)).status_code in {404, 405, 422}


async def keep_ignored(database: asyncpg.Connection, event: Json) -> None:
    """Store the event as an older release did that did not handle its type."""
    await database.execute(
        """INSERT INTO webhook_event (id, type, state, origin, body_digest, finished_at)
           VALUES ($1, $2, 'ignored', 'webhook', sha256('body'), now())""",
        event["id"],
        event["type"],
    )


async def invoice_of(sandbox: Sandbox) -> Json:
    await sandbox.invoiced(await sandbox.order("ada"))
    (event,) = (await sandbox.get("/events", type="order.invoice.created"))["data"]
    found: Json = event
    return found


async def test_an_ignored_event_is_read_again_when_its_type_is_handled_by_now(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox, ops: dict[str, str]
) -> None:
    event = await invoice_of(sandbox)
    await keep_ignored(own_database, event)
    async with running_portal(own_database_url, sandbox.url) as portal:
        shown = (await portal.get(address(event["id"]), ops)).json()
        assert (shown["state"], shown["hasBody"]) == ("ignored", False)
        assert shown["bodyDigest"] == (await own_database.fetchval("SELECT encode(sha256('body'), 'hex')"))
        answer = await portal.client.post(f"{address(event['id'])}/revive", headers=ops)
        assert (answer.status_code, answer.json()["state"]) == (200, "pending")
        await portal.documents(await sandbox.token("ada"), 1)
        await portal.settle(own_database)
    row = await own_database.fetchrow("SELECT state, body FROM webhook_event")
    assert tuple(row) == ("done", None)


async def test_all_ignored_events_of_a_type_are_revived_when_it_is_named(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await keep_ignored(own_database, invoice_event())
    await keep_ignored(own_database, {**invoice_event(), "type": "order.updated"})
    settings = settings_for(own_database_url, sandbox.url)
    for arguments, count in (
        (("--all",), 0),
        (("--all", "--type", "order.updated"), 0),
        (("--all", "--type", "order.invoice.created"), 1),
    ):
        revived = await portal_command(settings, "events", "revive", *arguments)
        assert revived.output == f"{count} events revived.\n", arguments


async def test_an_event_without_a_handler_is_not_revived(
    portal: Portal, ops: dict[str, str], database: asyncpg.Connection
) -> None:
    await keep_ignored(database, {**invoice_event(), "id": "e1", "type": "order.updated"})
    answer = await portal.client.post("/ops/events/e1/revive", headers=ops)
    assert (answer.status_code, answer.json()["detail"]) == (409, "Nobody handles events of this type.")
    assert await database.fetchval("SELECT state FROM webhook_event") == "ignored"


async def test_an_event_that_digital_river_no_longer_has_is_buried_and_says_so(
    portal: Portal, ops: dict[str, str], database: asyncpg.Connection
) -> None:
    event = invoice_event()
    await keep_ignored(database, event)
    await portal.client.post(f"{address(event['id'])}/revive", headers=ops)
    reason = await eventually(
        lambda: database.fetchval("SELECT reason FROM webhook_event WHERE state = 'buried'")
    )
    assert "Digital River has no such event any more" in reason


async def test_another_event_in_the_answer_is_not_taken_for_it(
    portal: Portal, sandbox: Sandbox, ops: dict[str, str], database: asyncpg.Connection
) -> None:
    event = await invoice_of(sandbox)
    await portal.documents(await sandbox.token("ada"), 1)
    await portal.settle(database)
    await database.execute(
        "UPDATE webhook_event SET body = NULL, state = 'buried', type = 'order.credit_memo.created'"
    )
    assert (await portal.client.post(f"{address(event['id'])}/revive", headers=ops)).status_code == 200
    reason = await eventually(
        lambda: database.fetchval("SELECT reason FROM webhook_event WHERE attempts > 0 AND reason <> ''")
    )
    assert "another event" in reason
    kinds = await database.fetch("SELECT kind FROM document")
    assert [row["kind"] for row in kinds] == ["invoice"]
