"""Digital River fails in many ways: the buyer gets a clear answer, and no event is lost."""

import time
from typing import Any, TypeAlias

import asyncpg
import httpx
import pytest

from tests.support.clock import eventually
from tests.support.portal import Portal, pass_time, running_portal
from tests.support.sandbox import Json, Sandbox

pytestmark = pytest.mark.proof

Database: TypeAlias = asyncpg.Connection
HOUR = 3600.0

_FAULTS: dict[str, dict[str, Any]] = {
    "429": {"kind": "throttle", "retryAfter": 1},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "garbage": {"kind": "garbage"},
    "nothing": {"kind": "empty"},
    "reset": {"kind": "reset"},
    "401": {"kind": "status", "status": 401},
}


@pytest.mark.parametrize("case", sorted(_FAULTS))
async def test_a_document_arrives_although_every_call_fails_at_first(
    case: str, own_database_url: str, own_database: Database, sandbox: Sandbox
) -> None:
    async with running_portal(own_database_url, sandbox.url) as portal:
        portal.trust(await sandbox.register_webhook(portal.url))
        for path in ("/files/{id}", "/file-links"):
            await sandbox.fault(**_FAULTS[case], path=path, times=1)
        file_id = await sandbox.invoiced(await sandbox.order("ada"))

        async def arrived() -> Any:
            # Events that wait for their next attempt become due; claimed events stay leased.
            await own_database.execute(
                """UPDATE webhook_event SET due_at = now()
                   WHERE reason IS NOT NULL AND jsonb_array_length(errors) = attempts"""
            )
            await own_database.execute("NOTIFY portal_inbox")
            return await own_database.fetchval("SELECT count(*) FROM document")

        await eventually(arrived)
        (document,) = await portal.documents(await sandbox.token("ada"), 1)
        assert document["link"] is not None
        assert len((await sandbox.get("/file-links", fileId=file_id))["data"]) == 1


_ANSWERS = {
    "429": (503, True),
    "500": (503, True),
    "503": (503, True),
    "garbage": (502, False),
    "nothing": (502, False),
    "reset": (503, True),
    "401": (502, False),
}


@pytest.mark.parametrize("case", sorted(_ANSWERS))
async def test_a_problem_about_a_link_holds_no_text_of_digital_river(
    case: str, own_database_url: str, own_database: Database, sandbox: Sandbox
) -> None:
    async with running_portal(own_database_url, sandbox.url) as portal:
        portal.trust(await sandbox.register_webhook(portal.url))
        token = await sandbox.token("ada")
        await sandbox.invoiced(await sandbox.order("ada"))
        (document,) = await portal.documents(token, 1)
        await pass_time(own_database, sandbox, 2 * HOUR)
        await sandbox.fault(**{**_FAULTS[case], "retryAfter": 60}, path="/file-links*")
        answer = await portal.get(f"/v1/documents/{document['id']}/content", token)
        status, has_retry_after = _ANSWERS[case]
        assert answer.status_code == status
        assert ("Retry-After" in answer.headers) == has_retry_after
        problem = answer.json()
        assert set(problem) <= {"type", "title", "status", "detail", "instance", "requestId"}
        assert "link" not in answer.text.replace("links", "")
        # Requests that need no call to Digital River still work.
        assert (await portal.get("/v1/documents", token)).status_code == 200


async def test_documents_are_listed_and_live_links_open_while_digital_river_is_down(
    own_database_url: str, own_database: Database, sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    async with running_portal(own_database_url, sandbox.url) as portal:
        portal.trust(await sandbox.register_webhook(portal.url))
        token = await sandbox.token("ada")
        order = await sandbox.order("ada")
        await sandbox.invoiced(order)
        (document,) = await portal.documents(token, 1)
        other = await sandbox.order("ada")
        await sandbox.fault("reset", path="/orders*")
        await sandbox.fault("reset", path="/file*")

        assert (await portal.get("/v1/documents", token)).json()["data"] == [document]
        known = (await portal.get(f"/v1/orders/{order['id']}/documents", token)).json()
        assert known["data"] == [document]
        opened = await portal.get(f"/v1/documents/{document['id']}/content", token)
        assert (await http.get(opened.headers["Location"])).status_code == 200

        unknown = await portal.get(f"/v1/orders/{other['id']}/documents", token)
        assert (unknown.status_code, "Retry-After" in unknown.headers) == (503, True)
        # The breaker is open by now: the next answer comes at once.
        started = time.monotonic()
        for _ in range(3):
            assert (await portal.get(f"/v1/orders/{other['id']}/documents", token)).status_code == 503
        assert time.monotonic() - started < 3


async def test_a_throttled_worker_waits_without_spending_attempts(
    portal: Portal, sandbox: Sandbox, database: Database
) -> None:
    await sandbox.fault("throttle", retryAfter=1, path="/files/{id}", times=1)
    await sandbox.invoiced(await sandbox.order("ada"))
    await portal.documents(await sandbox.token("ada"), 1)
    rows = await database.fetch("SELECT attempts, errors FROM webhook_event WHERE state = 'done'")
    assert [(row["attempts"], row["errors"]) for row in rows] == [(1, "[]")]


async def test_deliveries_out_of_order_lead_to_the_same_documents(
    portal: Portal, sandbox: Sandbox, database: Database
) -> None:
    await sandbox.fault("reorder", eventType="order.invoice.created", seconds=0.3)
    order: Json = await sandbox.order("ada")
    await sandbox.invoiced(order)
    await sandbox.refund(order)
    documents = await portal.documents(await sandbox.token("ada"), 2)
    assert sorted(document["kind"] for document in documents) == ["creditMemo", "invoice"]
