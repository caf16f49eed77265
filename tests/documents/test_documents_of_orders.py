"""Documents of an order: other buyers' requests do not affect the owner, and reveal nothing to them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from app.ops.retention import prune_if_free
from tests.support.clock import eventually
from tests.support.portal import Portal, pass_time
from tests.support.sandbox import Json, Sandbox

Tokens = dict[str, dict[str, str]]


@pytest.fixture
async def tokens(sandbox: Sandbox) -> Tokens:
    support = await sandbox.token("agent-7", scopes=["portal:support"])
    return {**{name: await sandbox.token(name) for name in ("ada", "mallory")}, "support": support}


@pytest.fixture
async def order(sandbox: Sandbox) -> Json:
    """An order of Ada's, with an invoice that no event announces."""
    await sandbox.fault("drop", eventType="order.*")
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    return order


def path_of(order_id: str) -> str:
    return f"/v1/orders/{order_id}/documents"


async def test_an_owner_sees_all_documents_however_often_others_have_asked(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, order: Json, tokens: Tokens
) -> None:
    path = path_of(order["id"])
    for _ in range(5):
        assert (await portal.get(path, tokens["mallory"])).status_code == 404
        await pass_time(database, sandbox, 8)
    shown = (await portal.get(path, tokens["ada"])).json()
    assert [document["kind"] for document in shown["data"]] == ["invoice"]
    assert shown["availability"]["invoice"] == "ready"


@pytest.mark.proof
async def test_an_owners_request_does_not_wait_for_other_buyers_requests(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, order: Json, tokens: Tokens
) -> None:
    path = path_of(order["id"])
    await sandbox.fault("delay", seconds=4, path="/orders/{id}", times=1)
    other_request = asyncio.create_task(portal.get(path, tokens["mallory"]))
    await eventually(lambda: database.fetchval("SELECT count(*) FROM lease WHERE name LIKE 'order:%'"))

    async def is_delayed() -> bool:
        faults: list[Json] = (await sandbox.client.get("/_sandbox/faults")).json()["faults"]
        return not any(fault["kind"] == "delay" for fault in faults)

    await eventually(is_delayed)
    assert len((await portal.get(path, tokens["ada"])).json()["data"]) == 1
    assert not other_request.done()
    assert (await other_request).status_code == 404


@contextmanager
def statements(portal: Portal) -> Iterator[list[str]]:
    """What is sent to PostgreSQL through the pool, in its order."""
    assert portal.app is not None
    engine = portal.app.state.resources.engine.sync_engine
    sent: list[str] = []

    def note(_: object, __: object, text: str, *___: Any) -> None:
        # The worker looks for events by its own clock.
        if "webhook_event" not in text and "sweep" not in text:
            sent.append(text)

    sa.event.listen(engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("asker", ["mallory", "support"])
async def test_an_existing_order_of_another_buyer_costs_the_same_as_a_missing_one(
    asker: str,
    portal: Portal,
    sandbox: Sandbox,
    database: asyncpg.Connection,
    order: Json,
    tokens: Tokens,
) -> None:
    known, guests = await sandbox.order("ada"), await sandbox.order(None)
    assert (await portal.get(path_of(known["id"]), tokens["ada"])).status_code == 200
    assert (await portal.get(path_of(guests["id"]), tokens["support"])).status_code == 200
    there = [] if asker == "support" else [order["id"], known["id"], guests["id"]]
    costs = []
    for order_id in (*there, "999999999999", "no-such-order"):
        # The first time, at once again, and when the first answer is no longer believed.
        for seconds in (0, 1, 20):
            await pass_time(database, sandbox, seconds)
            before = await sandbox.count("GET /orders/{id}")
            with statements(portal) as sent:
                assert (await portal.get(path_of(order_id), tokens[asker])).status_code == 404
            costs.append((await sandbox.count("GET /orders/{id}") - before, tuple(sent)))
    assert [calls for calls, _ in costs] == [1, 0, 1] * (len(there) + 2)
    assert all(costs[number] == costs[number % 3] for number in range(len(costs)))


async def test_an_absence_found_by_support_is_not_used_for_the_owner(
    portal: Portal, sandbox: Sandbox, order: Json, tokens: Tokens
) -> None:
    path = path_of(order["id"])
    await sandbox.fault("hide", path=f"/orders/{order['id']}", times=1)
    assert (await portal.get(path, tokens["support"])).status_code == 404
    assert len((await portal.get(path, tokens["ada"])).json()["data"]) == 1


async def test_an_order_that_appears_late_is_there_for_its_owner_soon(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, order: Json, tokens: Tokens
) -> None:
    path = path_of(order["id"])
    await sandbox.fault("hide", path=f"/orders/{order['id']}", times=1)
    assert [(await portal.get(path, tokens["ada"])).status_code for _ in range(2)] == [404, 404]
    await pass_time(database, sandbox, 16)
    assert (await portal.get(path, tokens["ada"])).status_code == 200


async def test_an_absence_is_deleted_within_an_hour(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, tokens: Tokens
) -> None:
    assert portal.app is not None
    for number in range(3):
        await portal.get(path_of(f"none-{number}"), tokens["mallory"])
    count = "SELECT count(*) FROM order_absence"
    assert await database.fetchval(count) == 3
    resources = portal.app.state.resources
    await prune_if_free(resources.engine, resources.leases)
    assert await database.fetchval(count) == 3
    await pass_time(database, sandbox, 601)
    await prune_if_free(resources.engine, resources.leases)
    assert await database.fetchval(count) == 0


async def test_a_credit_memo_without_an_event_is_looked_for(
    portal: Portal, sandbox: Sandbox, tokens: Tokens
) -> None:
    await sandbox.fault("drop", eventType="order.credit_memo.created")
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    await portal.documents(tokens["ada"], 1)
    await sandbox.refund(order)
    await eventually(lambda: _credit_memos(sandbox, order))
    shown = (await portal.get(path_of(order["id"]), tokens["ada"])).json()
    assert {document["kind"] for document in shown["data"]} == {"invoice", "creditMemo"}
    assert shown["availability"] == {"invoice": "ready", "creditMemo": "ready"}


async def _credit_memos(sandbox: Sandbox, order: Json) -> Any:
    return (await sandbox.get(f"/orders/{order['id']}")).get("creditMemoPDFs")


async def test_a_kind_that_could_not_be_checked_is_unknown_and_checked_later(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, tokens: Tokens
) -> None:
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    await portal.documents(tokens["ada"], 1)
    path = path_of(order["id"])
    await sandbox.fault("status", status=500, path="/orders/{id}", times=3)
    shown = (await portal.get(path, tokens["ada"])).json()
    assert len(shown["data"]) == 1
    assert shown["availability"] == {"invoice": "ready", "creditMemo": "unknown"}
    shown = (await portal.get(path, tokens["ada"])).json()
    assert shown["availability"] == {"invoice": "ready", "creditMemo": "notIssued"}
    # If the order is gone, the failed check is stored, so that it is not repeated at once.
    await sandbox.fault("hide", path=f"/orders/{order['id']}")
    await database.execute("DELETE FROM order_check")
    before = await sandbox.count("GET /orders/{id}")
    for _ in range(3):
        shown = (await portal.get(path, tokens["ada"])).json()
        assert (len(shown["data"]), shown["availability"]["creditMemo"]) == (1, "unknown")
    assert await sandbox.count("GET /orders/{id}") == before + 1


async def _announced(sandbox: Sandbox, order: Json) -> Json:
    """The event that never came, without its owner."""
    events: list[Json] = (await sandbox.get("/events", type="order.invoice.created"))["data"]
    (event,) = (one for one in events if one["data"]["object"]["orderId"] == order["id"])
    event["data"]["object"].pop("customerId", None)
    return event


async def test_a_document_whose_event_names_no_buyer_reaches_its_buyer(
    portal: Portal, sandbox: Sandbox, order: Json, tokens: Tokens
) -> None:
    await portal.deliver(await _announced(sandbox, order))
    (document,) = await portal.documents(tokens["ada"], 1)
    assert document["orderId"] == order["id"]
    assert (await portal.get("/v1/documents", tokens["mallory"])).json()["data"] == []


@pytest.mark.parametrize(
    ("fault", "why"),
    [({"kind": "status", "times": 3}, "Unavailable"), ({"kind": "hide", "times": 1}, "Missing")],
)
async def test_an_event_whose_order_cannot_be_read_yet_is_tried_again(
    fault: dict[str, Any],
    why: str,
    portal: Portal,
    sandbox: Sandbox,
    database: asyncpg.Connection,
    order: Json,
    tokens: Tokens,
) -> None:
    await sandbox.fault(**fault, path="/orders/{id}")
    await portal.deliver(await _announced(sandbox, order))
    reason = await eventually(lambda: database.fetchval("SELECT reason FROM webhook_event"))
    assert reason.startswith(why)
    assert await database.fetchval("SELECT count(*) FROM document") == 0
    await pass_time(database, sandbox, 10)
    await database.execute("NOTIFY portal_inbox")
    await portal.documents(tokens["ada"], 1)
