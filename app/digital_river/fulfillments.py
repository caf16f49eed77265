"""Shipments and cancellations of an order."""

from app.digital_river.models import Fulfillment, Listing
from app.digital_river.pages import Entries, fetch_every
from app.digital_river.paths import path
from app.digital_river.transport import Transport
from app.ids import OrderId


async def fetch_fulfillments(far: Transport, order_id: OrderId) -> Entries[Fulfillment]:
    """All fulfillments of an order, newest first; none for an order that does not exist."""
    return await fetch_every(
        far, path("/fulfillments"), {"order_id": order_id}, {"orderId": order_id}, Listing[Fulfillment]
    )
