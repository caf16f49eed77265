"""What was shipped or cancelled, and where the parcel is."""

from pydantic import Field

from app.digital_river.models.orders import ProductDetails
from app.digital_river.models.parties import Party
from app.digital_river.models.reading import (
    Counted,
    FarSideModel,
    Identifier,
    Instant,
    Many,
    Metadata,
    Quantity,
    Resource,
)


class FulfillmentItem(FarSideModel):
    """How many of one line were shipped, and how many cancelled."""

    item_id: Identifier | None = None
    sku_id: str | None = None
    quantity: Counted = 0
    cancel_quantity: Counted = 0
    tracking_company: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None


class Fulfillment(Resource):
    """A shipment or cancellation that the merchant reported."""

    order_id: Identifier | None = None
    shipment_id: str | None = None
    created_time: Instant | None = None
    items: Many[FulfillmentItem] = ()
    tracking_company: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    metadata: Metadata = Field(default_factory=dict)


class TrackingEntry(FarSideModel):
    """One step of a parcel's way."""

    date: Instant | None = None
    description: str | None = None
    location: str | None = None


class ShipmentItem(FarSideModel):
    """A line of the order, or a part of it, inside a parcel."""

    item_id: Identifier | None = None
    quantity: Quantity | None = None
    product_details: ProductDetails | None = None


class Shipment(FarSideModel):
    """One parcel of Global Logistics."""

    id: str | None = None
    status: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    ship_from: Party | None = None
    items: Many[ShipmentItem] = ()
    tracking_details: Many[TrackingEntry] = ()


class Tracking(FarSideModel):
    """Where an order's parcels are; only Global Logistics knows (Orders page)."""

    order_id: Identifier
    ship_to: Party | None = None
    shipments: Many[Shipment] = ()
