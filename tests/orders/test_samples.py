"""Every printed order, refund and parcel is shown without loss."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.digital_river.models import Fulfillment, Order, Refund, Tracking
from app.orders import refunds, tracking, views
from app.orders.schemas import OrderView
from app.orders.views import OrderParts
from tests.data.digital_river import payload
from tests.orders.samples import printed, printed_orders


def page(order: Order) -> OrderView:
    return views.order_view(OrderParts(order, [], [], None), for_buyer=True)


TOTALS = {
    "totalAmount": "total",
    "subtotal": "subtotal",
    "totalTax": "tax",
    "totalImporterTax": "importer_tax",
    "totalDuty": "duty",
    "totalFees": "fees",
    "totalDiscount": "discount",
    "totalShipping": "shipping",
    "capturedAmount": "captured",
    "cancelledAmount": "cancelled",
    "refundedAmount": "refunded",
    "availableToRefundAmount": "available_to_refund",
}


def exact(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


@pytest.mark.parametrize("name", sorted(printed_orders()))
def test_every_printed_order_is_shown_without_loss(name: str) -> None:
    sample = printed_orders()[name]
    shown = page(Order.model_validate(sample))
    assert (shown.id, shown.currency, shown.state) == (sample["id"], sample["currency"], sample["state"])
    assert shown.email == sample["email"]
    for theirs, ours in TOTALS.items():
        assert getattr(shown.amounts, ours) == exact(sample.get(theirs)), theirs
    for line, item in zip(shown.items, sample["items"], strict=True):
        assert (line.id, line.quantity, line.state) == (item["id"], item["quantity"], item["state"])
        assert line.amount == exact(item["amount"])
        assert line.tax == exact(item["tax"]["amount"])
        product = item.get("productDetails", {})
        assert (line.name, line.description) == (product.get("name"), product.get("description"))
        assert line.image_url == product.get("image")
    for party, address in ((shown.ship_to, "shipTo"), (shown.bill_to, "billTo")):
        assert (party is None) == (address not in sample)
        if party is not None and party.address is not None:
            shown_address = {
                k: v for k, v in party.address.model_dump(by_alias=True).items() if v is not None
            }
            assert shown_address == sample[address]["address"]
            assert party.name == sample[address].get("name")
    assert {(step.kind, step.state) for step in shown.timeline} == {
        ("order", "created"),
        *(("order", state) for state in sample.get("stateTransitions", {})),
        *(("review", state) for state in sample.get("fraudStateTransitions", {})),
    }
    payment = sample.get("payment", {})
    charges = payment.get("charges", [])
    assert len(shown.payment_methods) == len(payment.get("sources", []))
    assert [one.amount for one in shown.transactions if one.kind == "charged"] == [
        exact(capture["amount"]) for charge in charges for capture in charge.get("captures", [])
    ]


def test_no_secret_of_a_payment_reaches_a_page() -> None:
    for sample in printed_orders().values():
        text = page(Order.model_validate(sample)).model_dump_json()
        assert sample.get("payment", {}).get("session", {}).get("clientSecret", "no secret here") not in text
        assert sample.get("browserIp", "no address here") not in text


@pytest.mark.parametrize("name", sorted(printed("refund.", "refunds")))
def test_every_printed_refund_is_shown_without_loss(name: str) -> None:
    sample = printed("refund.", "refunds")[name]
    shown = refunds.refund_view(Refund.model_validate(sample), currency=None, for_buyer=True)
    assert (shown.id, shown.currency) == (sample["id"], sample["currency"])
    assert shown.state == {"pending_information": "pendingInformation"}.get(sample["state"], sample["state"])
    assert shown.refunded_amount == exact(sample["refundedAmount"])
    assert (shown.type, shown.reason) == (sample.get("type"), sample.get("reason"))
    of_items = sum((Decimal(str(item["amount"])) for item in sample["items"]), Decimal(0))
    assert shown.amount == (exact(sample["amount"]) if "amount" in sample else of_items)
    assert [(line.item_id, line.quantity, line.amount) for line in shown.items] == [
        (item["itemId"], item["quantity"], exact(item["amount"])) for item in sample["items"]
    ]
    asked = sample.get("tokenInformation")
    assert (shown.action is None) == (asked is None)
    if shown.action is not None and asked is not None:
        assert shown.action.token == asked["token"]
        assert shown.action.expires_at == datetime.fromisoformat(asked["expiresTime"])


@pytest.mark.parametrize("name", sorted(printed("fulfillment.", "fulfillments")))
def test_every_printed_fulfillment_is_shown_without_loss(name: str) -> None:
    sample = printed("fulfillment.", "fulfillments")[name]
    read = Fulfillment.model_validate(sample)
    order = Order.model_validate(sample.get("orderDetails", {"id": sample["orderId"]}))
    shown = tracking.from_shop(order, [read]).shipments
    sent = [item for item in sample["items"] if item["quantity"]]
    assert [(piece.item_id, piece.quantity) for parcel in shown for piece in parcel.items] == [
        (item["itemId"], item["quantity"]) for item in sent
    ]
    for parcel in shown:
        assert parcel.tracking_number == sample.get("trackingNumber")
        assert parcel.tracking_url == sample.get("trackingUrl")
        assert parcel.carrier == sample.get("trackingCompany")
    cancelled = {item["itemId"]: item["cancelQuantity"] for item in sample["items"]}
    assert {
        item_id: done.cancelled for item_id, done in tracking.quantities_by_item([read]).items()
    } == cancelled


def test_the_printed_tracking_is_shown_without_loss() -> None:
    sample = Tracking.model_validate(payload("order-tracking/announced"))
    shown = tracking.from_logistics(Order(id="1"), sample)
    (parcel,) = shown.shipments
    assert (parcel.id, parcel.state) == ("575280973178", "pending_shipment")
    assert [(piece.name, piece.quantity) for piece in parcel.items] == [("LampSku_2750850136", 1)]
    assert [entry.location for entry in parcel.entries] == ["-", "Boise Idaho US"]
    assert parcel.entries[0].at == datetime(2024, 12, 20, 0, 3, 48, tzinfo=UTC)
