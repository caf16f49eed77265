"""After an order: its charge, parcels, taxes and refunds, and payments that come late or never."""

import pytest

from tests.sandbox.official import samples
from tests.support.api_client import ApiClient, Json, refusal
from tests.support.clock import eventually


async def unpaid(api: ApiClient, kind: str) -> tuple[Json, Json]:
    """An order that waits for its payment, and the source that is to pay."""
    source = await api.post("/_sandbox/sources", {"type": kind})
    order = await api.order(sourceId=source["id"])
    return await api.get(f"/orders/{order['id']}"), source


async def test_a_charge_is_read_with_its_order(api: ApiClient) -> None:
    order = await api.complete()
    charge = order["payment"]["charges"][0]
    read = await api.get(f"/charges/{charge['id']}")
    assert (read["orderId"], read["captured"], read["captures"]) == (
        order["id"],
        True,
        charge["captures"],
    )
    assert refusal(await api.client.get("/charges/none")) == (404, "not_found", "id")


async def test_an_order_without_parcels_has_no_tracking(api: ApiClient) -> None:
    order = await api.order()
    response = await api.client.get(f"/orders/{order['id']}/tracking")
    assert refusal(response) == (404, "invalid_parameter", "orderId")
    assert refusal(await api.client.get("/orders/none/tracking")) == (404, "not_found", "id")


async def test_a_parcel_is_tracked(api: ApiClient) -> None:
    order = await api.order()
    control_path = f"/_sandbox/orders/{order['id']}/shipments"
    history = [
        {"description": "Delivered", "location": "Oslo", "status": "delivered"},
        {"description": "Picked up", "date": "2026-01-02T03:04:05Z"},
    ]
    made = await api.post(control_path, {"trackingNumber": "1Z", "status": "delivered", "history": history})
    tracking = await api.get(f"/orders/{order['id']}/tracking")
    assert made == tracking
    assert tracking["shipTo"] == order["shipTo"]
    parcel = tracking["shipments"][0]
    assert (parcel["trackingNumber"], parcel["status"]) == ("1Z", "delivered")
    assert [item["itemId"] for item in parcel["items"]] == [item["id"] for item in order["items"]]
    assert parcel["trackingDetails"][1] == {
        "date": "2026-01-02T03:04:05",
        "description": "Picked up",
        "location": "-",
    }


@pytest.mark.parametrize("sample", samples("order-tracking"))
async def test_tracking_has_every_printed_member(api: ApiClient, sample: Json) -> None:
    order = await api.order()
    made = await api.post(f"/_sandbox/orders/{order['id']}/shipments")
    assert set(sample) <= set(made)
    assert set(sample["shipments"][0]) <= set(made["shipments"][0])


async def test_parcels_add_up_and_may_have_no_number_yet(api: ApiClient) -> None:
    order = await api.order()
    control_path = f"/_sandbox/orders/{order['id']}/shipments"
    await api.post(control_path)
    both = await api.post(
        control_path, {"trackingNumber": None, "trackingUrl": None, "status": "pending_shipment"}
    )
    assert ["trackingNumber" in parcel for parcel in both["shipments"]] == [True, False]


async def test_the_merchants_own_parcels_are_on_the_fulfillment(api: ApiClient) -> None:
    order = await api.order()
    part = {"itemId": order["items"][0]["id"], "quantity": 1}
    body = {"orderId": order["id"], "items": [part], "trackingCompany": "UPS", "trackingNumber": "1Z"}
    await api.post("/fulfillments", body)
    listed = (await api.get("/fulfillments", {"orderId": order["id"]}))["data"]
    assert [(one["trackingCompany"], one["trackingNumber"]) for one in listed] == [("UPS", "1Z")]
    assert (await api.client.get(f"/orders/{order['id']}/tracking")).status_code == 404


async def test_taxes_are_detailed_by_item(api: ApiClient) -> None:
    order = await api.order(items=[{"price": 50, "taxRate": 0.2}, {"price": 10}])
    details = await api.get(f"/orders/{order['id']}/tax-details")
    assert [item["id"] for item in details["items"]] == [item["id"] for item in order["items"]]
    taxes = [item["taxDetails"][0] for item in details["items"]]
    assert [(tax["rate"], tax["taxAmount"], tax["country"]) for tax in taxes] == [
        (0.2, 10.0, "US"),
        (0.0, 0.0, "US"),
    ]


async def test_a_redirect_is_outstanding_until_the_buyer_is_back(api: ApiClient) -> None:
    order, source = await unpaid(api, "payco")
    session = order["payment"]["session"]
    assert (order["state"], session["state"]) == ("pending_payment", "pending_redirect")
    assert session["nextAction"] == {
        "action": "redirect",
        "data": {"redirectUrl": source["redirect"]["redirectUrl"]},
    }
    refresh = f"/orders/{order['id']}/refresh"
    assert await api.post(refresh) == order
    await api.post(f"/_sandbox/sources/{source['id']}/state", {"state": "chargeable"})
    paid = await api.post(refresh)
    assert (paid["state"], paid["payment"]["session"]["state"]) == ("accepted", "complete")
    assert "nextAction" not in paid["payment"]["session"]
    assert (await api.get(f"/sources/{source['id']}"))["state"] == "consumed"
    assert await api.post(refresh) == paid
    assert "order.accepted" in await api.event_types()


async def test_a_pending_payment_comes_with_instructions(api: ApiClient) -> None:
    order, source = await unpaid(api, "wireTransfer")
    session = order["payment"]["session"]
    assert session["state"] == "pending_funds"
    assert session["nextAction"]["action"] == "show_payment_instructions"
    assert session["nextAction"]["data"]["sourceId"] == source["id"]
    paid = await api.post(f"/_sandbox/orders/{order['id']}/state", {"state": "accepted"})
    assert "nextAction" not in paid["payment"]["session"]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_source_that_fails_makes_the_charge_fail(api: ApiClient, state: str) -> None:
    order, source = await unpaid(api, "payco")
    await api.post(f"/_sandbox/sources/{source['id']}/state", {"state": state})
    failed = await api.post(f"/orders/{order['id']}/refresh")
    assert (failed["state"], failed["payment"]["session"]["state"]) == ("pending_payment", "failed")
    assert failed["payment"]["charges"][0]["state"] == "failed"
    assert (await api.event_types())[-1] == "order.charge.failed"


async def test_a_payment_can_fail_with_any_code(api: ApiClient) -> None:
    order = await api.order(state="pending_payment")
    control_path = f"/_sandbox/orders/{order['id']}/payment-failure"
    await api.post(control_path, {"failureCode": "insufficient_funds", "failureMessage": "Too little."})
    charge = (await api.get(f"/orders/{order['id']}"))["payment"]["charges"][0]
    assert (charge["state"], charge["failureCode"]) == ("failed", "insufficient_funds")
    accepted = await api.order()
    assert (await api.refused(f"/_sandbox/orders/{accepted['id']}/payment-failure", {}))[0] == 409


@pytest.mark.proof
@pytest.mark.parametrize("outcome", ["pending_information", "failed", "succeeded"])
async def test_refunds_end_as_the_rule_says(api: ApiClient, outcome: str) -> None:
    await api.client.put("/_sandbox/rules", json={"refundOutcome": outcome})
    refund = await api.refund(await api.complete(), amount=5)
    assert refund["state"] == "pending"

    async def find_settled() -> Json | None:
        found: Json = await api.get(f"/refunds/{refund['id']}")
        return found if found["state"] == outcome else None

    settled = await eventually(find_settled)
    assert settled is not None
    assert ("tokenInformation" in settled) == (outcome == "pending_information")
    booked = settled["charges"][0]["refunds"][0]["state"]
    assert booked == {"succeeded": "complete"}.get(outcome, outcome)


async def test_a_buyer_gives_bank_data_until_the_token_expires(api: ApiClient) -> None:
    await api.client.put("/_sandbox/rules", json={"refundOutcome": "pending"})
    refund = await api.refund(await api.complete(), amount=5)
    control_path = f"/_sandbox/refunds/{refund['id']}/state"
    waiting = await api.post(
        control_path, {"state": "pending_information", "expiresTime": "2026-12-24T18:00:00+01:00"}
    )
    assert waiting["tokenInformation"]["expiresTime"] == "2026-12-24T17:00:00.000Z"
    assert waiting == await api.get(f"/refunds/{refund['id']}")
    paid = await api.post(control_path, {"state": "succeeded"})
    assert ("tokenInformation" in paid, paid["refundedAmount"]) == (False, 5.0)
    assert (await api.event_types()).count("refund.pending_information") == 1


async def test_rules_return_to_their_defaults_with_a_reset(api: ApiClient) -> None:
    defaults = await api.get("/_sandbox/rules")
    assert defaults == {
        "afterDefaultDetached": "clear",
        "verification": "pending",
        "refundOutcome": "succeeded",
        "eventTypes": "list",
    }
    await api.client.put("/_sandbox/rules", json={"afterDefaultDetached": "promote"})
    await api.client.post("/_sandbox/reset")
    assert await api.get("/_sandbox/rules") == defaults


async def with_credit(api: ApiClient, amount: float) -> Json:
    """An order of 44, which store credit pays in part and a card otherwise."""
    credit = await api.post("/sources", {"type": "customerCredit", "amount": amount, "currency": "USD"})
    order = await api.order(creditSourceId=credit["id"])
    assert (await api.get(f"/sources/{credit['id']}"))["state"] == "consumed"
    return order


def moved(order: Json, kind: str) -> list[list[float]]:
    """The amounts that each charge has moved."""
    return [[entry["amount"] for entry in charge.get(kind, [])] for charge in order["payment"]["charges"]]


async def test_store_credit_is_taken_first_and_given_back_last(api: ApiClient) -> None:
    order = await with_credit(api, 30)
    types = [(source["type"], source["amount"]) for source in order["payment"]["sources"]]
    assert types == [("creditCard", 14.0), ("customerCredit", 30.0)]
    assert [charge["amount"] for charge in order["payment"]["charges"]] == [14.0, 30.0]
    for count in (1, 2):
        await api.fulfil(order, {"itemId": order["items"][0]["id"], "quantity": 1})
        order = await api.with_documents(order, count=count)
    assert (moved(order, "captures"), order["state"]) == ([[14.0], [22.0, 8.0]], "complete")
    assert order["capturedAmount"] == 44.0
    refund = await api.refund(order, amount=20)
    order = await api.with_documents(order, "creditMemoPDFs")
    assert moved(order, "refunds") == [[14.0], [6.0]]
    shown = (await api.get(f"/refunds/{refund['id']}"))["charges"]
    assert [charge["refunds"][0]["amount"] for charge in shown] == [14.0, 6.0]


async def test_what_is_cancelled_is_released_from_the_card_first(api: ApiClient) -> None:
    order = await with_credit(api, 30)
    await api.fulfil(order, {"itemId": order["items"][0]["id"], "quantity": 1, "cancelQuantity": 1})
    order = await api.with_documents(order)
    assert (moved(order, "cancels"), moved(order, "captures")) == ([[14.0], [8.0]], [[], [22.0]])
    assert (order["state"], order["capturedAmount"], order["cancelledAmount"]) == ("complete", 22.0, 22.0)


async def test_store_credit_may_pay_all_of_it_and_nothing_else_is_store_credit(api: ApiClient) -> None:
    order = await with_credit(api, 100)
    assert [(one["type"], one["amount"]) for one in order["payment"]["sources"]] == [("customerCredit", 44.0)]
    card = await api.post("/_sandbox/sources", {})
    wish = {"creditSourceId": card["id"]}
    assert await api.refused("/_sandbox/orders", wish) == (400, "invalid_parameter", "creditSourceId")
