"""The doors behind an order: parcels on their way, payments that fail later."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sandbox.api import charges, orders, tracking
from sandbox.commerce.order_views import show_order
from sandbox.runtime.runtime import world_of

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


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Sighting(_Wire):
    """One entry of the carrier's history; without `date` it is now."""

    description: str
    location: str = "-"
    status: ParcelStatus | None = None
    date: AwareDatetime | None = None


class Parcel(_Wire):
    """A Global Logistics shipment of the whole order; without a number it has not been handed over."""

    tracking_number: str | None = "1Z12345E0205271688"
    tracking_url: str | None = "https://carrier.invalid/1Z12345E0205271688"
    status: ParcelStatus = "in_transit"
    history: list[Sighting] = Field(default_factory=lambda: [Sighting(description="Picked up")])


class PaymentFailure(_Wire):
    failure_code: str = "declined"
    failure_message: str = "The payment was declined."


@router.post("/orders/{order_id}/shipments", status_code=201, operation_id="shipOrder")
async def ship_order(order_id: str, parcel: Parcel, request: Request) -> dict[str, Any]:
    """Answers what GET /orders/{id}/tracking answers from now on. Orders' states do not move by this."""
    world = world_of(request)
    order = orders.get_stored(world, order_id)
    shown = parcel.model_dump(by_alias=True, include={"tracking_number", "tracking_url", "status"})
    history = [
        {
            **sighting.model_dump(by_alias=True, exclude_none=True, exclude={"date"}),
            "date": tracking.local_stamp(sighting.date or world.now()),
        }
        for sighting in parcel.history
    ]
    return tracking.ship(
        world, order, {name: value for name, value in shown.items() if value is not None}, history
    )


@router.post("/orders/{order_id}/payment-failure", operation_id="failPayment")
async def fail_payment(order_id: str, failure: PaymentFailure, request: Request) -> dict[str, Any]:
    """An authorisation that fails after the order was made; 409 unless it is pending_payment."""
    world = world_of(request)
    order = orders.get_stored(world, order_id)
    charges.fail(world, order, failure.failure_code, failure.failure_message)
    return show_order(order)
