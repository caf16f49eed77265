"""Refunds of an order."""

from app.digital_river.api.pagination import Entries, fetch_every
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.paths import path
from app.digital_river.models import Listing, Refund
from app.ids import OrderId


async def fetch_refunds(client: DigitalRiverClient, order_id: OrderId) -> Entries[Refund]:
    """All refunds of an order, newest first; none for an order that does not exist."""
    return await fetch_every(
        client, path("/refunds"), {"order_id": order_id}, {"orderId": order_id}, Listing[Refund]
    )
