"""Shipments and cancellations of an order."""

from app.digital_river.api.pagination import Entries, fetch_every
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.paths import path
from app.digital_river.models import Fulfillment, Listing
from app.ids import OrderId


async def fetch_fulfillments(client: DigitalRiverClient, order_id: OrderId) -> Entries[Fulfillment]:
    """All fulfillments of an order, newest first; none for an order that does not exist."""
    return await fetch_every(
        client, path("/fulfillments"), {"order_id": order_id}, {"orderId": order_id}, Listing[Fulfillment]
    )
