"""Calls about orders, their refunds, fulfillments and tracking."""

from datetime import datetime

from app.digital_river.api.pagination import Entries, fetch_all
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Params, path
from app.digital_river.errors import Garbled, Missing
from app.digital_river.models import Fulfillment, Listing, Order, Refund, Tracking
from app.digital_river.models.timestamps import format_ceiling, format_floor
from app.ids import CustomerId, OrderId


async def fetch_order(client: DigitalRiverClient, order_id: OrderId, *, owner: CustomerId) -> Order:
    """An order of this owner.

    Raises:
        Missing: there is no such order, or it belongs to another customer or to a guest.
        Garbled: the order of this owner cannot be read.
    """
    endpoint = path("/orders/{id}", id=order_id)
    return await client.fetch_json(
        "GET", endpoint, model=Order, expected={"id": order_id}, required={"customerId": owner}
    )


async def fetch_any_order(client: DigitalRiverClient, order_id: OrderId) -> Order:
    """An order of any customer or guest: for events, and for support.

    Raises:
        Missing: there is no such order.
        Garbled: the order cannot be read.
    """
    endpoint = path("/orders/{id}", id=order_id)
    return await client.fetch_json("GET", endpoint, model=Order, expected={"id": order_id})


async def fetch_orders(
    client: DigitalRiverClient,
    *,
    customer_id: CustomerId,
    state: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    limit: int = 10,
    starting_after: str | None = None,
) -> Listing[Order]:
    """One page of a customer's orders, newest first. `limit` is 1 to 100, both bounds are inclusive.

    Raises:
        Refused: `starting_after` is not the id of an order.
        Garbled: the page ends where it begins, so the list would have no end.
    """
    params: Params = {
        "customerId": customer_id,
        "state": state,
        "createdTime[gte]": format_floor(created_from) if created_from else None,
        "createdTime[lte]": format_ceiling(created_to) if created_to else None,
        "limit": limit,
        "startingAfter": starting_after,
    }
    expected = {"customer_id": customer_id}
    page = await client.fetch_json(
        "GET", path("/orders"), params=params, model=Listing[Order], expected=expected
    )
    if starting_after is not None and page.next_after == starting_after:
        raise Garbled("the list of orders repeats itself")
    return page


async def find_tracking(client: DigitalRiverClient, order_id: OrderId) -> Tracking | None:
    """The parcels of an order; None if Global Logistics does not ship it (404, Orders page)."""
    endpoint = path("/orders/{id}/tracking", id=order_id)
    try:
        return await client.fetch_json("GET", endpoint, model=Tracking, expected={"order_id": order_id})
    except Missing:
        return None


async def fetch_refunds(client: DigitalRiverClient, order_id: OrderId) -> Entries[Refund]:
    """All refunds of an order, newest first; none for an order that does not exist."""
    return await fetch_all(
        client, path("/refunds"), {"order_id": order_id}, {"orderId": order_id}, Listing[Refund]
    )


async def fetch_fulfillments(client: DigitalRiverClient, order_id: OrderId) -> Entries[Fulfillment]:
    """All fulfillments of an order, newest first; none for an order that does not exist."""
    return await fetch_all(
        client, path("/fulfillments"), {"order_id": order_id}, {"orderId": order_id}, Listing[Fulfillment]
    )
