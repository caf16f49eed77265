"""Tracking and refunds of an order."""

import pytest

from tests.support.buyers import OrderBuyer
from tests.support.sandbox import Sandbox

TRACKING = {
    "trackingCompany": "FedEx",
    "trackingNumber": "Z1",
    "trackingUrl": "https://fedex.test/?n=Z1",
}


async def test_parcels_of_the_logistics_partner_are_tracked(ada: OrderBuyer, sandbox: Sandbox) -> None:
    order = await ada.order()
    parcel = {
        "trackingNumber": "1Z",
        "trackingUrl": "https://carrier.test/1Z",
        "history": [
            {"description": "Picked up", "location": "Salt Lake City", "date": "2026-01-31T09:30:00Z"}
        ],
    }
    await sandbox.post(f"/_sandbox/orders/{order['id']}/shipments", parcel)
    await sandbox.client.delete("/_sandbox/requests")
    answer = (await ada.get(f"/v1/orders/{order['id']}/tracking")).json()
    assert (answer["orderId"], answer["source"]) == (order["id"], "logistics")
    (shipment,) = answer["shipments"]
    assert (shipment["trackingNumber"], shipment["trackingUrl"]) == ("1Z", "https://carrier.test/1Z")
    assert shipment["state"] == "in_transit"
    assert [(piece["itemId"], piece["name"], piece["quantity"]) for piece in shipment["items"]] == [
        (order["items"][0]["id"], "Desk lamp", 2)
    ]
    assert shipment["entries"] == [
        {"at": "2026-01-31T09:30:00Z", "description": "Picked up", "location": "Salt Lake City"}
    ]
    assert await sandbox.count("GET /fulfillments") == 0


async def test_parcels_that_the_shop_ships_itself_are_shown(ada: OrderBuyer, sandbox: Sandbox) -> None:
    order = await ada.order()
    item = {"itemId": order["items"][0]["id"], "quantity": 1}
    for number in ("Z1", "Z2"):
        body = {"orderId": order["id"], "items": [item], **TRACKING, "trackingNumber": number}
        await sandbox.post("/fulfillments", body)
    answer = (await ada.get(f"/v1/orders/{order['id']}/tracking")).json()
    assert answer["source"] == "shop"
    assert [shipment["trackingNumber"] for shipment in answer["shipments"]] == ["Z1", "Z2"]
    assert {shipment["carrier"] for shipment in answer["shipments"]} == {"FedEx"}
    assert [piece["quantity"] for shipment in answer["shipments"] for piece in shipment["items"]] == [1, 1]


async def test_an_order_without_shipments_has_an_empty_list(ada: OrderBuyer) -> None:
    order = await ada.order()
    answer = await ada.get(f"/v1/orders/{order['id']}/tracking")
    assert (answer.status_code, answer.json()["shipments"]) == (200, [])
    known = {**ada.token, "If-None-Match": answer.headers["ETag"]}
    assert (await ada.portal.get(f"/v1/orders/{order['id']}/tracking", known)).status_code == 304


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("pending", "pending"),
        ("succeeded", "succeeded"),
        ("failed", "failed"),
        ("pending_information", "pendingInformation"),
    ],
)
async def test_a_refund_says_how_far_it_is(outcome: str, state: str, ada: OrderBuyer) -> None:
    order = await ada.completed()
    refund = await ada.refunded(order, outcome, percent=50)
    answer = (await ada.get(f"/v1/orders/{order['id']}/refunds")).json()
    (shown,) = answer["data"]
    assert answer["nextCursor"] is None
    assert (shown["id"], shown["state"], shown["amount"]) == (refund["id"], state, "49.90")
    assert shown["refundedAmount"] == ("49.90" if outcome == "succeeded" else "0.00")
    assert (shown["action"] is not None) == (outcome == "pending_information")
    assert "failureReason" not in shown


async def test_an_expired_refund_asks_for_no_bank_details(ada: OrderBuyer, sandbox: Sandbox) -> None:
    order = await ada.completed()
    refund = await ada.refunded(order, "pending_information")
    await sandbox.post(f"/_sandbox/refunds/{refund['id']}/state", {"state": "expired"})
    (shown,) = (await ada.page(order))["refunds"]
    assert (shown["state"], shown["action"]) == ("expired", None)


@pytest.mark.parametrize(("about", "path"), [("refunds", "/refunds"), ("tracking", "/fulfillments")])
@pytest.mark.parametrize(("kind", "status"), [("status", 503), ("garbage", 502)])
async def test_a_failure_of_the_requested_part_is_a_problem(
    kind: str, status: int, about: str, path: str, ada: OrderBuyer, sandbox: Sandbox
) -> None:
    order = await ada.order()
    await sandbox.fault(kind, path=path, times=3)
    answer = await ada.get(f"/v1/orders/{order['id']}/{about}")
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)
