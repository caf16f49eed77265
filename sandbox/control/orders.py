"""Control of orders and refunds: create orders, change states, add shipments, fail payments."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, Field

from sandbox.commerce.charges import fail_payment
from sandbox.commerce.checkout import Checkout, place_order
from sandbox.commerce.order_states import change_order_state, mark_fraud
from sandbox.commerce.orders import get_stored_order, show_order
from sandbox.commerce.refund_states import change_refund_state, get_stored_refund
from sandbox.commerce.shipments import carrier_time, ship
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import runtime_of

router = APIRouter(tags=["Buyers"])

# OpenAPI document, schema TrackingDetail.
ParcelStatus = Literal[
    "pending_shipment",
    "in_transit",
    "delivery_attempted",
    "delivered",
    "refused",
    "cancelled",
    "awaiting_shipment",
    "contact_customer_service",
    "unknown",
]


class OrderStateChange(JsonModel):
    """`state` may be absent if only the fraud state changes."""

    state: str | None = None
    fraud_state: Literal["review_opened", "passed", "blocked"] | None = None


class RefundStateChange(JsonModel):
    state: Literal["pending", "pending_information", "succeeded", "failed", "expired"]
    failure_reason: str | None = None
    # The buyer may give bank data until then; only for pending_information.
    expires_time: AwareDatetime | None = None


class TrackingEntry(JsonModel):
    """One entry of the carrier's history. Without `date`, the time is now."""

    description: str
    location: str = "-"
    status: ParcelStatus | None = None
    date: AwareDatetime | None = None


class Parcel(JsonModel):
    """A Global Logistics shipment of the whole order. Without a number, the carrier does not have it yet."""

    tracking_number: str | None = "1Z12345E0205271688"
    tracking_url: str | None = "https://carrier.invalid/1Z12345E0205271688"
    status: ParcelStatus = "in_transit"
    history: list[TrackingEntry] = Field(default_factory=lambda: [TrackingEntry(description="Picked up")])


class PaymentFailure(JsonModel):
    failure_code: str = "declined"
    failure_message: str = "The payment was declined."


@router.post("/orders", status_code=201, operation_id="placeOrder")
async def create_order(checkout: Checkout, request: Request) -> dict[str, Any]:
    """Create an order, as the checkout of a buyer does."""
    return show_order(place_order(runtime_of(request), checkout))


@router.post("/orders/{order_id}/state", operation_id="setOrderState")
async def set_order_state(order_id: str, change: OrderStateChange, request: Request) -> dict[str, Any]:
    """Change the state of an order and emit the events. 409 if the state machine has no such change.

    No money is captured, cancelled or paid back; fulfillments and refunds do that.
    """
    runtime = runtime_of(request)
    order = get_stored_order(runtime, order_id)
    if change.fraud_state is not None:
        mark_fraud(runtime, order, change.fraud_state)
    if change.state is not None:
        change_order_state(runtime, order, change.state)
    return show_order(order)


@router.post("/orders/{order_id}/shipments", status_code=201, operation_id="shipOrder")
async def ship_order(order_id: str, parcel: Parcel, request: Request) -> dict[str, Any]:
    """Add a shipment; answers like GET /orders/{id}/tracking. The state of the order does not change."""
    runtime = runtime_of(request)
    order = get_stored_order(runtime, order_id)
    shown = parcel.model_dump(by_alias=True, include={"tracking_number", "tracking_url", "status"})
    history = [
        {
            **entry.model_dump(by_alias=True, exclude_none=True, exclude={"date"}),
            "date": carrier_time(entry.date or runtime.now()),
        }
        for entry in parcel.history
    ]
    return ship(runtime, order, {name: value for name, value in shown.items() if value is not None}, history)


@router.post("/orders/{order_id}/payment-failure", operation_id="failPayment")
async def fail_order_payment(order_id: str, failure: PaymentFailure, request: Request) -> dict[str, Any]:
    """Let the authorisation fail after the checkout. 409 if the order is not pending_payment."""
    runtime = runtime_of(request)
    order = get_stored_order(runtime, order_id)
    fail_payment(runtime, order, failure.failure_code, failure.failure_message)
    return show_order(order)


@router.post("/refunds/{refund_id}/state", operation_id="setRefundState")
async def set_refund_state(refund_id: str, change: RefundStateChange, request: Request) -> dict[str, Any]:
    runtime = runtime_of(request)
    refund = get_stored_refund(runtime, refund_id)
    change_refund_state(runtime, refund, change.state, change.failure_reason, expires=change.expires_time)
    return refund
