"""The models of fulfillments (what was shipped or cancelled) and of the tracking of parcels."""

from pydantic import Field

from app.digital_river.models.orders import ProductDetails
from app.digital_river.models.parties import Party
from app.digital_river.models.tolerant_model import (
    DigitalRiverModel,
    Identifier,
    Instant,
    ListOf,
    Metadata,
    Quantity,
    Resource,
    SummedQuantity,
)


class FulfillmentItem(DigitalRiverModel):
    """The shipped and cancelled quantities of one line of the order."""

    item_id: Identifier | None = None
    sku_id: str | None = None
    quantity: SummedQuantity = 0
    cancel_quantity: SummedQuantity = 0
    tracking_company: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None


class Fulfillment(Resource):
    """A shipment or cancellation that the merchant reported."""

    order_id: Identifier | None = None
    shipment_id: str | None = None
    created_time: Instant | None = None
    items: ListOf[FulfillmentItem] = ()
    tracking_company: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    metadata: Metadata = Field(default_factory=dict)


class TrackingEntry(DigitalRiverModel):
    """One step in the tracking of a parcel."""

    date: Instant | None = None
    description: str | None = None
    location: str | None = None


class ShipmentItem(DigitalRiverModel):
    """A line of the order, or a part of its quantity, in a parcel."""

    item_id: Identifier | None = None
    quantity: Quantity | None = None
    product_details: ProductDetails | None = None


class Shipment(DigitalRiverModel):
    """One parcel of Global Logistics."""

    id: str | None = None
    status: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    ship_from: Party | None = None
    items: ListOf[ShipmentItem] = ()
    tracking_details: ListOf[TrackingEntry] = ()


class Tracking(DigitalRiverModel):
    """The tracking of an order's parcels; only Global Logistics has it (Orders page)."""

    order_id: Identifier
    ship_to: Party | None = None
    shipments: ListOf[Shipment] = ()
