"""Turns shipments into parcels that buyers can track.

The shipments come from Global Logistics, or from the fulfillments that the shop reported.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import ConfigDict

from app.digital_river.models import (
    Fulfillment,
    FulfillmentItem,
    Order,
    OrderItem,
    ProductDetails,
    Shipment,
    Tracking,
)
from app.web.api_model import ApiModel, Instant

_ENTRY: dict[str, Any] = {
    "at": "2026-02-01T08:00:00Z",
    "description": "Shipping label generated",
    "location": "Salt Lake City Utah US",
}
_PIECE: dict[str, Any] = {
    "itemId": "127910100336",
    "name": "Desk lamp",
    "imageUrl": "https://shop.example/lamp.jpg",
    "quantity": 2,
}
_SHIPMENT: dict[str, Any] = {
    "id": "100000048501",
    "state": "pending_shipment",
    "shippedAt": None,
    "carrier": "FedEx",
    "trackingNumber": "Z10100002632653",
    "trackingUrl": "https://www.fedex.com/Tracking?tracknumbers=Z10100002632653",
    "items": [_PIECE],
    "entries": [_ENTRY],
}


class EntryView(ApiModel):
    """One tracking event of a parcel."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY]})

    at: Instant | None
    description: str | None
    location: str | None


class PieceView(ApiModel):
    """A line of the order, or some of its units, in a parcel."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PIECE]})

    item_id: str | None
    name: str | None
    image_url: str | None
    quantity: int | None


class ShipmentView(ApiModel):
    """One parcel."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHIPMENT]})

    id: str | None
    state: str | None
    """The logistics partner's name of the state. More values may be added. Null if the shop ships the
    order."""
    shipped_at: Instant | None
    """When the shop reported the shipment. Null if the logistics partner ships the order: see `entries`."""
    carrier: str | None
    tracking_number: str | None
    tracking_url: str | None
    items: list[PieceView]
    entries: list[EntryView]
    """The tracking events, newest first."""


class TrackingView(ApiModel):
    """All parcels of an order. Empty if nothing was shipped yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"orderId": "188418250336", "source": "logistics", "shipments": [_SHIPMENT], "unreadable": 0}
            ]
        }
    )

    order_id: str
    source: Literal["logistics", "shop"]
    """Where the data comes from: Digital River's logistics partner, or the shop if it ships the order
    itself."""
    shipments: list[ShipmentView]
    unreadable: int
    """How many shipments, items and entries are left out because they cannot be read; usually 0."""


class ItemQuantities(NamedTuple):
    """How many units of an order line were shipped, and how many were cancelled."""

    shipped: int = 0
    cancelled: int = 0


class _ParcelLabel(NamedTuple):
    """The carrier's data of one parcel."""

    company: str | None
    number: str | None
    url: str | None


def quantities_by_item(fulfillments: Iterable[Fulfillment]) -> Mapping[str | None, ItemQuantities]:
    """What was shipped and cancelled of each line, by the line's id."""
    quantities: dict[str | None, ItemQuantities] = {}
    for item in (item for fulfillment in fulfillments for item in fulfillment.items):
        previous = quantities.get(item.item_id, ItemQuantities())
        quantities[item.item_id] = ItemQuantities(
            previous.shipped + item.quantity, previous.cancelled + item.cancel_quantity
        )
    return quantities


def from_logistics(order: Order, tracking: Tracking) -> TrackingView:
    """The parcels that Global Logistics reports."""
    lines = {item.id: item for item in order.items}
    shipments = [_partner_shipment(lines, shipment) for shipment in tracking.shipments]
    unreadable = tracking.unreadable("shipments") + sum(
        shipment.unreadable("items") + shipment.unreadable("tracking_details")
        for shipment in tracking.shipments
    )
    return TrackingView(order_id=order.id, source="logistics", shipments=shipments, unreadable=unreadable)


def from_shop(order: Order, fulfillments: Sequence[Fulfillment], *, unreadable: int = 0) -> TrackingView:
    """The parcels that the shop reported: one for each tracking number of each fulfillment, oldest first.

    `fulfillments` come newest first. `unreadable` is how many others could not be read.
    """
    lines = {item.id: item for item in order.items}
    shipments = [
        parcel
        for fulfillment in reversed(fulfillments)
        for parcel in _fulfillment_parcels(lines, fulfillment)
    ]
    unreadable += sum(fulfillment.unreadable("items") for fulfillment in fulfillments)
    return TrackingView(order_id=order.id, source="shop", shipments=shipments, unreadable=unreadable)


def _partner_shipment(lines: Mapping[str, OrderItem], shipment: Shipment) -> ShipmentView:
    return ShipmentView(
        id=shipment.id,
        state=shipment.status,
        shipped_at=None,
        carrier=None,
        tracking_number=shipment.tracking_number,
        tracking_url=web_link(shipment.tracking_url),
        items=[
            _piece_view(lines, item.item_id, item.quantity, item.product_details) for item in shipment.items
        ],
        entries=[
            EntryView(at=entry.date, description=entry.description, location=entry.location)
            for entry in shipment.tracking_details
        ],
    )


def _fulfillment_parcels(lines: Mapping[str, OrderItem], fulfillment: Fulfillment) -> Iterator[ShipmentView]:
    parcels: dict[_ParcelLabel, list[FulfillmentItem]] = {}
    for item in fulfillment.items:
        # An item without a quantity reports a cancellation.
        if item.quantity > 0:
            parcels.setdefault(_parcel_label(fulfillment, item), []).append(item)
    for label, items in parcels.items():
        yield ShipmentView(
            id=fulfillment.shipment_id or fulfillment.id,
            state=None,
            shipped_at=fulfillment.created_time,
            carrier=label.company,
            tracking_number=label.number,
            tracking_url=web_link(label.url),
            items=[_piece_view(lines, item.item_id, item.quantity, None) for item in items],
            entries=[],
        )


def _parcel_label(fulfillment: Fulfillment, item: FulfillmentItem) -> _ParcelLabel:
    if item.tracking_number or item.tracking_url:
        return _ParcelLabel(
            item.tracking_company or fulfillment.tracking_company, item.tracking_number, item.tracking_url
        )
    return _ParcelLabel(fulfillment.tracking_company, fulfillment.tracking_number, fulfillment.tracking_url)


def _piece_view(
    lines: Mapping[str, OrderItem], item_id: str | None, quantity: int | None, details: ProductDetails | None
) -> PieceView:
    line = lines.get(item_id or "")
    product = details or (line.product_details if line else None) or ProductDetails()
    return PieceView(item_id=item_id, name=product.name, image_url=web_link(product.image), quantity=quantity)


def web_link(url: str | None) -> str | None:
    """The URL if it is an absolute one of http or https; None for all others, such as `javascript:`."""
    try:
        parts = urlsplit(url or "")
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    return url if is_web else None
