"""Where the parcels of an order are: Global Logistics says it where it ships, else what the shop reported."""

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
    """One step of a parcel's way."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY]})

    at: Instant | None
    description: str | None
    location: str | None


class PieceView(ApiModel):
    """A line of the order, or a part of it, inside a parcel."""

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
    """As the carrier's side names it; an open set, and null where only the shop reports."""
    shipped_at: Instant | None
    """When the shop reported it; null where a logistics partner ships, see `entries`."""
    carrier: str | None
    tracking_number: str | None
    tracking_url: str | None
    items: list[PieceView]
    entries: list[EntryView]
    """The parcel's way, newest first."""


class TrackingView(ApiModel):
    """All parcels of an order; none while nothing was shipped."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"orderId": "188418250336", "source": "logistics", "shipments": [_SHIPMENT], "unreadable": 0}
            ]
        }
    )

    order_id: str
    source: Literal["logistics", "shop"]
    """Who says so: Digital River's logistics partner, or the shop that ships itself."""
    shipments: list[ShipmentView]
    unreadable: int
    """How many shipments, or items or entries of one, are left out because they cannot be read; usually 0."""


class ItemQuantities(NamedTuple):
    """How many pieces of a line were shipped, and how many cancelled."""

    shipped: int = 0
    cancelled: int = 0


class _ParcelLabel(NamedTuple):
    """What is printed on a parcel."""

    company: str | None
    number: str | None
    url: str | None


def quantities_by_item(fulfillments: Iterable[Fulfillment]) -> Mapping[str | None, ItemQuantities]:
    """By the lines' ids."""
    found: dict[str | None, ItemQuantities] = {}
    for item in (item for fulfillment in fulfillments for item in fulfillment.items):
        so_far = found.get(item.item_id, ItemQuantities())
        found[item.item_id] = ItemQuantities(
            so_far.shipped + item.quantity, so_far.cancelled + item.cancel_quantity
        )
    return found


def from_logistics(order: Order, tracking: Tracking) -> TrackingView:
    """What Global Logistics says."""
    lines = {item.id: item for item in order.items}
    shipments = [_partner_shipment(lines, shipment) for shipment in tracking.shipments]
    unreadable = tracking.unreadable("shipments") + sum(
        one.unreadable("items") + one.unreadable("tracking_details") for one in tracking.shipments
    )
    return TrackingView(order_id=order.id, source="logistics", shipments=shipments, unreadable=unreadable)


def from_shop(order: Order, fulfillments: Sequence[Fulfillment], *, unreadable: int = 0) -> TrackingView:
    """What the shop reported: a parcel for each tracking number of each fulfillment, oldest first.
    `unreadable` is how many fulfillments there are besides."""
    lines = {item.id: item for item in order.items}
    shipments = [view for one in reversed(fulfillments) for view in _fulfillment_parcels(lines, one)]
    unreadable += sum(one.unreadable("items") for one in fulfillments)
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
        # Without a quantity it is a cancellation.
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
    lines: Mapping[str, OrderItem], item_id: str | None, quantity: int | None, shown: ProductDetails | None
) -> PieceView:
    line = lines.get(item_id or "")
    product = shown or (line.product_details if line else None) or ProductDetails()
    return PieceView(item_id=item_id, name=product.name, image_url=web_link(product.image), quantity=quantity)


def web_link(address: str | None) -> str | None:
    """The address if a browser may open it; None for `javascript:`, relative ones and whatever else."""
    try:
        parts = urlsplit(address or "")
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    return address if is_web else None
