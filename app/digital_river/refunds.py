"""Refunds of an order."""

from app.digital_river.models import Listing, Refund
from app.digital_river.pages import Entries, fetch_every
from app.digital_river.paths import path
from app.digital_river.transport import Transport
from app.ids import OrderId


async def fetch_refunds(far: Transport, order_id: OrderId) -> Entries[Refund]:
    """All refunds of an order, newest first; none for an order that does not exist."""
    return await fetch_every(
        far, path("/refunds"), {"order_id": order_id}, {"orderId": order_id}, Listing[Refund]
    )
