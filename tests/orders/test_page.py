"""The page of an order: one answer with everything, also while a part of Digital River is slow or down."""

from datetime import datetime

import pytest

from app.orders import service
from tests.support.buyers import OrderBuyer
from tests.support.clock import eventually
from tests.support.sandbox import Json, Sandbox

LAMP: Json = {
    "name": "Desk lamp",
    "price": 49.9,
    "quantity": 2,
    "taxRate": 0.08,
    "image": "https://shop.test/lamp.jpg",
}
BULB: Json = {"name": "Bulb", "price": 5, "quantity": 1}
OF_A_PAGE = {"GET /orders/{id}": 1, "GET /refunds": 1, "GET /fulfillments": 1}


async def calls(sandbox: Sandbox) -> dict[str, int]:
    counts: dict[str, int] = (await sandbox.get("/_sandbox/requests"))["counts"]
    return counts


async def test_a_page_shows_what_was_bought_for_how_much_and_by_whom(ada: OrderBuyer) -> None:
    order = await ada.order(items=[LAMP, BULB], shipping=5, shippingTax=0.4)
    page = await ada.page(order)
    assert (page["id"], page["displayStatus"], page["state"]) == (order["id"], "accepted", "accepted")
    assert (page["currency"], page["locale"], page["email"]) == ("USD", "en_US", "buyer@example.com")
    lamp, bulb = page["items"]
    assert (lamp["name"], lamp["imageUrl"], lamp["quantity"]) == (LAMP["name"], LAMP["image"], 2)
    assert (lamp["amount"], lamp["tax"], lamp["shipping"]) == ("99.80", "7.98", "5.00")
    assert (bulb["amount"], bulb["shippedQuantity"], bulb["cancelledQuantity"]) == ("5.00", 0, 0)
    amounts = {name: value for name, value in page["amounts"].items() if value != "0.00"}
    assert amounts == {"total": "118.18", "subtotal": "109.80", "tax": "8.38", "shipping": "5.00"}
    assert page["shipTo"]["address"]["city"] == order["shipTo"]["address"]["city"]
    assert page["billTo"]["name"] == order["billTo"]["name"]
    (method,) = page["paymentMethods"]
    assert method == {
        "label": "Visa ending in 1111",
        "type": "creditCard",
        "brand": "Visa",
        "lastFour": "1111",
        "amount": "118.18",
    }
    assert page["seller"] == {"id": "DR_INC-ENTITY", "name": "Digital River Inc."}
    assert [step["text"] for step in page["timeline"]] == ["Order placed", "Review passed", "Order accepted"]
    assert (page["refunds"], page["transactions"], page["incomplete"]) == ([], [], [])
    assert page["documents"] == {
        "data": [],
        "availability": {"invoice": "pending", "creditMemo": "notIssued"},
    }


async def test_a_page_follows_the_order_to_its_end(ada: OrderBuyer, sandbox: Sandbox) -> None:
    order = await ada.completed(items=[LAMP])
    refund = await ada.refunded(order, amount=20)
    page = await ada.page(order)
    assert page["displayStatus"] == "partiallyRefunded"
    assert (page["amounts"]["captured"], page["amounts"]["refunded"]) == ("107.78", "20.00")
    assert [(one["kind"], one["amount"], one["state"]) for one in page["transactions"]] == [
        ("charged", "107.78", "complete")
    ]
    assert page["items"][0]["shippedQuantity"] == 2
    (shown,) = page["refunds"]
    assert (shown["id"], shown["state"], shown["amount"]) == (refund["id"], "succeeded", "20.00")
    assert (shown["refundedAmount"], shown["action"]) == ("20.00", None)
    times = [datetime.fromisoformat(step["at"]) for step in page["timeline"]]
    assert times == sorted(times)
    assert [step["state"] for step in page["timeline"]][-2:] == ["fulfilled", "complete"]


@pytest.mark.proof
@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        ("pending_payment", (), "awaitingPayment"),
        ("in_review", (), "inReview"),
        ("in_review", ("blocked",), "declined"),
        ("blocked", (), "declined"),
        ("pending_payment", ("cancelled",), "cancelled"),
        ("accepted", (), "accepted"),
        ("accepted", ("cancelled",), "cancelled"),
        ("accepted", ("fulfilled",), "shipped"),
        ("accepted", ("fulfilled", "complete"), "complete"),
        ("accepted", ("fulfilled", "returned"), "returned"),
        ("accepted", ("dispute",), "disputed"),
        ("accepted", ("fulfilled", "complete", "dispute", "complete"), "complete"),
    ],
)
async def test_list_and_page_agree_in_every_state(
    first: str, then: tuple[str, ...], status: str, ada: OrderBuyer
) -> None:
    order = await ada.order(state=first)
    await ada.walk(order, *then)
    (listed,) = await ada.listed()
    page = await ada.page(order)
    assert listed["displayStatus"] == page["displayStatus"] == status
    assert listed["state"] == page["state"] == (then or (first,))[-1]


async def test_a_payment_that_fails_later_is_shown_without_its_code(
    ada: OrderBuyer, sandbox: Sandbox
) -> None:
    order = await ada.order(state="pending_payment")
    failure = {"failureCode": "lost_stolen_card", "failureMessage": "Canary."}
    await sandbox.post(f"/_sandbox/orders/{order['id']}/payment-failure", failure)
    answer = await ada.get(f"/v1/orders/{order['id']}")
    assert answer.json()["displayStatus"] == "paymentFailed"
    assert "lost_stolen_card" not in answer.text
    assert "Canary" not in answer.text


async def test_a_partial_shipment_is_counted_line_by_line(ada: OrderBuyer, sandbox: Sandbox) -> None:
    order = await ada.order(items=[LAMP, BULB])
    lamp, bulb = order["items"]
    items = [{"itemId": lamp["id"], "quantity": 1}, {"itemId": bulb["id"], "cancelQuantity": 1}]
    await sandbox.post("/fulfillments", {"orderId": order["id"], "items": items})
    page = await ada.page(order)
    assert page["displayStatus"] == "partiallyShipped"
    assert [(line["shippedQuantity"], line["cancelledQuantity"]) for line in page["items"]] == [
        (1, 0),
        (0, 1),
    ]
    assert {one["kind"] for one in page["transactions"]} == {"charged", "released"}


async def test_documents_on_the_page_are_the_documents_of_their_own_routes(
    ada: OrderBuyer, sandbox: Sandbox
) -> None:
    order = await ada.completed()
    (document,) = (await ada.page(order))["documents"]["data"]
    assert document == (await ada.get(f"/v1/documents/{document['id']}")).json()
    of_order = (await ada.get(f"/v1/orders/{order['id']}/documents")).json()
    assert of_order["data"] == [document]
    assert of_order["availability"] == {"invoice": "ready", "creditMemo": "notIssued"}


async def test_known_documents_cost_no_call_and_all_else_costs_one_each(
    ada: OrderBuyer, sandbox: Sandbox
) -> None:
    order = await ada.completed()
    for _ in range(2):
        await sandbox.client.delete("/_sandbox/requests")
        page = await ada.page(order)
        assert page["documents"]["availability"]["invoice"] == "ready"
        assert await calls(sandbox) == OF_A_PAGE


async def test_a_document_whose_event_was_lost_is_on_the_page(ada: OrderBuyer, sandbox: Sandbox) -> None:
    await sandbox.fault("drop", eventType="order.invoice.created")
    order = await ada.order()
    await sandbox.invoiced(order)
    documents = (await ada.page(order))["documents"]
    assert [document["kind"] for document in documents["data"]] == ["invoice"]
    assert documents["availability"]["invoice"] == "ready"
    listed = (await ada.get("/v1/documents")).json()["data"]
    assert [document["id"] for document in listed] == [documents["data"][0]["id"]]


async def test_a_second_document_of_the_same_kind_is_not_overlooked(
    ada: OrderBuyer, sandbox: Sandbox
) -> None:
    await sandbox.fault("drop", eventType="order.invoice.created")
    order = await ada.order(items=[LAMP, BULB])
    for count, line in enumerate(order["items"], start=1):
        items = [{"itemId": line["id"], "quantity": line["quantity"]}]
        await sandbox.post("/fulfillments", {"orderId": order["id"], "items": items})

        async def is_issued(count: int = count) -> bool:
            return len((await sandbox.get(f"/orders/{order['id']}")).get("invoicePDFs") or []) == count

        await eventually(is_issued)
        assert len((await ada.page(order))["documents"]["data"]) == count


async def test_documents_found_by_a_page_are_listed_by_their_own_route_at_once(ada: OrderBuyer) -> None:
    order = await ada.order(state="pending_payment")
    path = f"/v1/orders/{order['id']}/documents"
    assert (await ada.get(path)).json()["availability"]["invoice"] == "pending"
    await ada.walk(order, "cancelled")
    assert (await ada.page(order))["documents"]["availability"]["invoice"] == "notIssued"
    assert (await ada.get(path)).json()["availability"]["invoice"] == "notIssued"


async def test_a_document_whose_event_names_no_owner_is_listed_for_its_owner(
    ada: OrderBuyer, sandbox: Sandbox
) -> None:
    await sandbox.fault("drop", eventType="order.invoice.created")
    order = await ada.order()
    file_id = await sandbox.invoiced(order)
    subject = {"id": file_id, "fileId": file_id, "orderId": order["id"]}
    event = {"id": f"event-{file_id}", "type": "order.invoice.created", "data": {"object": subject}}
    await ada.portal.deliver(event | {"liveMode": False, "createdTime": "2026-01-31T09:30:00Z"})

    async def link_is_minted() -> bool:
        return bool(await sandbox.count("POST /file-links"))

    await eventually(link_is_minted)
    documents = (await ada.page(order))["documents"]["data"]
    assert [document["kind"] for document in documents] == ["invoice"]


async def test_a_page_has_an_etag_that_changes_with_the_order(ada: OrderBuyer) -> None:
    order = await ada.order()
    path = f"/v1/orders/{order['id']}"
    first = await ada.get(path)
    known = {**ada.token, "If-None-Match": first.headers["ETag"]}
    again = await ada.portal.get(path, known)
    assert (again.status_code, again.content) == (304, b"")
    await ada.walk(order, "dispute")
    changed = await ada.portal.get(path, known)
    assert (changed.status_code, changed.json()["displayStatus"]) == (200, "disputed")
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    ("kind", "path", "part"),
    [
        ("status", "/refunds", "refunds"),
        ("garbage", "/refunds", "refunds"),
        ("empty", "/fulfillments", "shipments"),
        ("status", "/files*", "documents"),
    ],
)
async def test_a_part_that_cannot_be_read_is_left_out_and_named(
    kind: str, path: str, part: str, ada: OrderBuyer, sandbox: Sandbox
) -> None:
    await sandbox.fault("drop", eventType="order.invoice.created")
    order = await ada.order(items=[LAMP])
    await sandbox.invoiced(order)
    await sandbox.fault(kind, path=path, method="GET")
    page = await ada.page(order)
    assert page["incomplete"] == [part]
    parts = {
        "refunds": page["refunds"],
        "documents": page["documents"],
        "shipments": page["items"][0]["shippedQuantity"],
    }
    assert [name for name, value in parts.items() if value is None] == [part]
    assert page["amounts"]["total"] == "107.78"


async def test_a_document_whose_file_is_not_there_yet_is_pending_on_the_page(
    ada: OrderBuyer, sandbox: Sandbox
) -> None:
    await sandbox.fault("drop", eventType="order.invoice.created")
    order = await ada.order(items=[LAMP])
    await sandbox.invoiced(order)
    await sandbox.fault("hide", path="/files*", method="GET")
    page = await ada.page(order)
    assert page["incomplete"] == []
    assert page["documents"]["data"] == []
    assert page["documents"]["availability"]["invoice"] == "pending"


async def test_a_page_does_not_wait_for_optional_parts(
    ada: OrderBuyer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PART_TIMEOUT_SECONDS", 0.3)
    await sandbox.fault("delay", path="/refunds", seconds=5)
    assert (await ada.page(await ada.order()))["incomplete"] == ["refunds"]


async def test_a_page_without_its_order_fails(ada: OrderBuyer, sandbox: Sandbox) -> None:
    order = await ada.order()
    await sandbox.fault("status", path="/orders/{id}", times=3)
    answer = await ada.get(f"/v1/orders/{order['id']}")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:portal:problem:unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_the_parts_of_a_page_are_read_at_the_same_time(ada: OrderBuyer, sandbox: Sandbox) -> None:
    order = await ada.order()
    for path in ("/refunds", "/fulfillments"):
        await sandbox.fault("delay", path=path, seconds=1)
    await sandbox.client.delete("/_sandbox/requests")
    await ada.page(order)
    begun = {
        call["path"]: datetime.fromisoformat(call["at"])
        for call in (await sandbox.get("/_sandbox/requests"))["calls"]
    }
    apart = abs((begun["/refunds"] - begun["/fulfillments"]).total_seconds())
    assert apart < 0.8, "one waited for the other"
