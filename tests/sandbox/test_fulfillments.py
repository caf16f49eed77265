"""Fulfillments and refunds: which are allowed, which are refused with which code, and how amounts add up."""

import pytest

from tests.support.api_client import ApiClient, Json


def part(order: Json, place: int = 0, **quantities: object) -> Json:
    return {"itemId": order["items"][place]["id"], **quantities}


async def refused(api: ApiClient, order: Json, *parts: Json) -> tuple[int, str | None, str | None]:
    return await api.refused("/fulfillments", {"orderId": order["id"], "items": list(parts)})


async def test_cancelling_everything_cancels_the_order(api: ApiClient) -> None:
    order = await api.order()
    await api.fulfil(order, part(order, cancelQuantity="2"))
    order = await api.get(f"/orders/{order['id']}")
    assert (order["state"], order["cancelledAmount"], order["capturedAmount"]) == ("cancelled", 44.0, 0.0)
    assert order["payment"]["charges"][0]["state"] == "cancelled"
    assert (await api.event_types())[1:] == [
        "fulfillment.created",
        "order.charge.cancel.complete",
        "order.cancelled",
    ]


async def test_what_is_not_cancelled_is_captured(api: ApiClient) -> None:
    order = await api.order()
    await api.fulfil(order, part(order, quantity=1, cancelQuantity=1))
    order = await api.with_documents(order)
    assert (order["state"], order["cancelledAmount"], order["capturedAmount"]) == ("complete", 22.0, 22.0)


async def test_a_settled_item_or_order_is_refused_with_its_own_code(api: ApiClient) -> None:
    order = await api.order(items=[{"price": 1}, {"price": 2}, {"price": 3}])
    assert await refused(api, order, part(order, quantity=2)) == (
        409,
        "quantity_too_large",
        "items[0].quantity",
    )
    await api.fulfil(order, part(order, quantity=1))
    await api.fulfil(order, part(order, 1, cancelQuantity=1))
    assert (await refused(api, order, part(order, quantity=1)))[1] == "item_fulfilled"
    assert (await refused(api, order, part(order, 1, quantity=1)))[1] == "item_cancelled"
    await api.fulfil(order, part(order, 2, quantity=1))
    status, code, parameter = await refused(api, order, part(order, 2, quantity=1))
    assert (status, parameter) == (409, "orderId")
    assert code in {"order_fulfilled", "order_complete"}
    await api.with_documents(order, count=2)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["pending_payment"], "order_not_submitted"),
        (["in_review"], "order_not_submitted"),
        (["accepted", "dispute"], "order_not_submitted"),
        (["accepted", "cancelled"], "order_cancelled"),
        (["accepted", "fulfilled"], "order_fulfilled"),
        (["accepted", "fulfilled", "complete"], "order_complete"),
    ],
)
async def test_only_an_accepted_order_can_be_fulfilled(api: ApiClient, states: list[str], code: str) -> None:
    order = await api.order(state=states[0])
    for state in states[1:]:
        await api.post(f"/_sandbox/orders/{order['id']}/state", {"state": state})
    assert await refused(api, order, part(order, quantity=1)) == (409, code, "orderId")


async def test_a_fulfillment_needs_an_order_items_and_quantities(api: ApiClient) -> None:
    order = await api.order()
    assert await api.refused("/fulfillments", {}) == (400, "missing_parameter", "orderId")
    assert await api.refused("/fulfillments", {"orderId": "1", "items": [{}]}) == (
        400,
        "invalid_parameter",
        "orderId",
    )
    assert (await refused(api, order, part(order)))[1] == "invalid_quantity_amount"
    assert await refused(api, order, {"itemId": "1", "quantity": 1}) == (
        400,
        "invalid_parameter",
        "items[0].itemId",
    )
    assert (await refused(api, order, part(order, quantity=1.5)))[2] == "items[0].quantity"
    assert (await refused(api, order, part(order, colour="red")))[1] == "unknown_parameter"


async def test_tracking_is_shown_listed_and_changed(api: ApiClient) -> None:
    order = await api.order()
    body = {"orderId": order["id"], "items": [part(order, quantity=1)], "trackingNumber": "Z1"}
    made = await api.post("/fulfillments", body)
    assert "orderDetails" not in made
    shown = await api.get(f"/fulfillments/{made['id']}")
    assert shown["orderDetails"]["id"] == order["id"]
    await api.post(f"/fulfillments/{made['id']}", {"trackingNumber": "Z2", "metadata": {"a": 1}})
    (listed,) = (await api.get("/fulfillments", {"orderId": order["id"], "trackingNumber": "Z2"}))["data"]
    assert listed["metadata"] == {"a": 1}
    assert (await api.client.get("/fulfillments/ful_nothing")).status_code == 404


async def test_a_sku_is_enough_and_means_the_next_open_line(api: ApiClient) -> None:
    """The official collection asks for `skuId`; the guide pages for `itemId`."""
    order = await api.order(items=[{"sku": "lamp", "price": 1}, {"sku": "lamp", "price": 2}])
    wish = {"skuId": "lamp", "quantity": 1}
    made = await api.fulfil(order, wish, wish)
    assert [item["itemId"] for item in made["items"]] == [item["id"] for item in order["items"]]
    order = await api.order(items=[{"sku": "lamp", "price": 1}])
    assert await refused(api, order, {"skuId": "chair", "quantity": 1}) == (
        400,
        "invalid_parameter",
        "items[0].skuId",
    )
    assert await refused(api, order, {"quantity": 1}) == (400, "missing_parameter", "items[0].itemId")


async def test_a_sku_is_enough_for_a_refund_too(api: ApiClient) -> None:
    order = await api.complete(items=[{"sku": "lamp", "price": 10}, {"sku": "chair", "price": 20}])
    refund = await api.refund(order, items=[{"skuId": "chair", "quantity": 1}])
    assert (refund["amount"], refund["items"][0]["itemId"]) == (20.0, order["items"][1]["id"])
    body = {"orderId": order["id"], "currency": "USD", "items": [{"skuId": "table", "quantity": 1}]}
    assert await api.refused("/refunds", body) == (400, "invalid_parameter", "items[0].skuId")


async def test_no_line_is_settled_twice_by_one_request(api: ApiClient) -> None:
    order = await api.order()
    code = (await refused(api, order, part(order, quantity=2), part(order, quantity=1)))[1]
    assert code == "quantity_too_large"
    assert (await api.get("/fulfillments"))["data"] == []


async def test_a_distributors_costs_are_shown_and_need_a_currency(api: ApiClient) -> None:
    order = await api.order()
    wish = part(order, quantity=1, distributorCost=10.5, subfulfillerId="d", shipmentItemId="s")
    assert await refused(api, order, wish) == (400, "missing_parameter", "currency")
    assert (await refused(api, order, {**wish, "shippingCost": -1}))[0] == 400
    body = {"orderId": order["id"], "items": [wish], "currency": "EUR"}
    made = await api.post("/fulfillments", body)
    assert made["currency"] == "EUR"
    shown = made["items"][0]
    assert (shown["distributorCost"], shown["subfulfillerId"], shown["shipmentItemId"]) == (10.5, "d", "s")


@pytest.mark.proof
@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"amount": 45}, ("invalid_parameter", "amountRequested")),
        ({"amount": 0.0}, ("invalid_parameter", "amount")),
        ({"percent": 101}, ("invalid_parameter", "percent")),
        ({"percent": 10, "amount": 1}, ("invalid_parameter", "amount")),
        ({}, ("invalid_parameter", "amount")),
        ({"amount": 1, "currency": "EUR"}, ("invalid_parameter", "currency")),
        ({"amount": 5, "type": "tax"}, ("invalid_parameter", "amountRequested")),
        ({"percent": 50, "type": "tax"}, ("invalid_parameter", "percent")),
        ({"amount": 1, "type": "gift"}, ("invalid_parameter", "type")),
        ({"amount": 1, "reason": "x" * 65}, ("invalid_parameter", "reason")),
        ({"amount": 1, "orderId": "7"}, ("invalid_parameter", "orderId")),
        ({"items": [{"quantity": 1}]}, ("missing_parameter", "items[0].itemId")),
        ({"items": [{"itemId": "1", "percent": 5}]}, ("invalid_parameter", "items[0].itemId")),
    ],
)
async def test_an_impossible_refund_is_refused(api: ApiClient, wish: Json, expected: tuple[str, str]) -> None:
    order = await api.complete()
    body = {"orderId": order["id"], "currency": "USD", **wish}
    assert await api.refused("/refunds", body) == (400, *expected)


async def test_nothing_is_refunded_before_capture_or_in_dispute(api: ApiClient) -> None:
    order = await api.order()
    wish = {"orderId": order["id"], "currency": "USD", "amount": 1}
    assert await api.refused("/refunds", wish) == (400, "invalid_parameter", "amountRequested")
    await api.post(f"/_sandbox/orders/{order['id']}/state", {"state": "dispute"})
    assert await api.refused("/refunds", wish) == (400, "invalid_parameter", "order")


async def test_items_are_refunded_by_quantity_and_percent(api: ApiClient) -> None:
    order = await api.complete()
    (item,) = order["items"]
    refund = await api.refund(order, items=[{"itemId": item["id"], "quantity": 1, "percent": 50}])
    assert refund["amount"] == 11.0
    after = await api.with_documents(order, "creditMemoPDFs")
    assert after["items"][0]["availableToRefundAmount"] == after["availableToRefundAmount"] == 33.0


async def test_a_refund_can_be_walked_to_bank_data_and_to_failure(api: ApiClient) -> None:
    order = await api.complete()
    # The sandbox must not settle it in the meantime.
    await api.client.put("/_sandbox/rules", json={"refundOutcome": "pending"})
    refund = await api.refund(order, amount=4, metadata={"a": "b"})
    control_path = f"/_sandbox/refunds/{refund['id']}/state"
    waiting = await api.post(control_path, {"state": "pending_information"})
    assert set(waiting["tokenInformation"]) == {"token", "expiresTime"}
    failed = await api.post(control_path, {"state": "failed", "failureReason": "closed account"})
    assert (failed["state"], failed["refundedAmount"]) == ("failed", 0.0)
    assert (await api.get(f"/orders/{order['id']}"))["availableToRefundAmount"] == 44.0
    assert (await api.event_types())[-2:] == ["refund.failed", "order.charge.refund.failed"]
    assert (await api.refused(control_path, {"state": "succeeded"}))[0] == 409
    (listed,) = (await api.get("/refunds", {"state": "failed", "orderId": order["id"]}))["data"]
    assert listed["failureReason"] == "closed account"
    changed = await api.post(f"/refunds/{refund['id']}", {"metadata": {"c": 1, "a": ""}})
    assert changed["metadata"] == {"c": 1}
