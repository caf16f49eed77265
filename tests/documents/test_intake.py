"""Calls for an event run at the same time where they may. A link is made only for a file that is there."""

import asyncpg
import pytest

from tests.support.clock import eventually
from tests.support.portal import Portal
from tests.support.sandbox import Sandbox


async def reason_of_the_failure(database: asyncpg.Connection) -> str:
    async def failed() -> str | None:
        reason: str | None = await database.fetchval("SELECT reason FROM webhook_event")
        return reason

    reason = await eventually(failed)
    assert reason is not None
    return reason


@pytest.mark.proof
@pytest.mark.parametrize("slow", ["/files/{id}", "/file-links"])
async def test_neither_the_file_nor_its_links_wait_for_each_other(
    slow: str, portal: Portal, sandbox: Sandbox
) -> None:
    await sandbox.fault("delay", seconds=1, method="GET", path=slow)
    await sandbox.invoiced(await sandbox.order("ada"))

    async def both_asked() -> bool:
        return bool(await sandbox.count("GET /files/{id}") and await sandbox.count("GET /file-links"))

    await eventually(both_asked, within=0.9)
    assert await sandbox.count("POST /file-links") == 0
    await portal.documents(await sandbox.token("ada"), 1)


@pytest.mark.proof
async def test_the_order_of_an_event_without_a_customer_is_fetched_beside_its_file(
    portal: Portal, sandbox: Sandbox
) -> None:
    order = await sandbox.order("ada")
    file_id = await sandbox.invoiced(order)
    await portal.documents(await sandbox.token("ada"), 1)
    before = await sandbox.count("GET /files/{id}")
    await sandbox.fault("delay", seconds=1, method="GET", path="/orders/{id}", times=1)
    subject = {"id": file_id, "fileId": file_id, "orderId": order["id"]}
    await sandbox.post("/_sandbox/events", {"type": "order.invoice.created", "object": subject})

    async def asked() -> bool:
        return await sandbox.count("GET /files/{id}") > before

    await eventually(asked, within=0.9)


async def test_no_link_is_made_for_a_file_that_is_missing(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await sandbox.fault("hide", path="/files/{id}")
    await sandbox.invoiced(await sandbox.order("ada"))
    assert "Missing" in await reason_of_the_failure(database)
    assert await sandbox.count("GET /file-links") == 1
    assert await sandbox.count("POST /file-links") == 0


async def test_if_both_calls_fail_the_files_error_decides(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await sandbox.fault("hide", path="/files/{id}")
    # It would postpone the event, and it comes first.
    await sandbox.fault("delay", seconds=0.3, path="/files/{id}")
    await sandbox.fault("status", status=403, method="GET", path="/file-links")
    await sandbox.invoiced(await sandbox.order("ada"))
    assert "Missing" in await reason_of_the_failure(database)
    assert await database.fetchval("SELECT attempts FROM webhook_event") == 1
