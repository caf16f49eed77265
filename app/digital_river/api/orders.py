"""Orders, their refunds and shipments, and where their parcels are."""

from datetime import datetime

from app.digital_river.api.pagination import Entries, fetch_every
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Params, path
from app.digital_river.errors import Garbled, Missing
from app.digital_river.models import Fulfillment, Listing, Order, Refund, Tracking
from app.digital_river.models.timestamps import from_instant, to_instant
from app.ids import CustomerId, OrderId


async def fetch_order(client: DigitalRiverClient, order_id: OrderId, *, owner: CustomerId) -> Order:
    """One order, if it is the owner's.

    Raises:
        Missing: there is none, or it is somebody else's or a guest's.
        Garbled: the owner's order cannot be read.
    """
    where = path("/orders/{id}", id=order_id)
    return await client.fetch_json(
        "GET", where, model=Order, expected={"id": order_id}, required={"customerId": owner}
    )


async def fetch_any_order(client: DigitalRiverClient, order_id: OrderId) -> Order:
    """One order, whoever it belongs to: for events, and for support.

    Raises:
        Missing: there is none.
        Garbled: it cannot be read.
    """
    where = path("/orders/{id}", id=order_id)
    return await client.fetch_json("GET", where, model=Order, expected={"id": order_id})


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
        Refused: `starting_after` names no order.
        Garbled: the page ends where it begins, so that nobody would ever come to the end of the list.
    """
    params: Params = {
        "customerId": customer_id,
        "state": state,
        "createdTime[gte]": from_instant(created_from) if created_from else None,
        "createdTime[lte]": to_instant(created_to) if created_to else None,
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
    """The parcels of an order, None unless Global Logistics ships it (Orders page: 404 then)."""
    where = path("/orders/{id}/tracking", id=order_id)
    try:
        return await client.fetch_json("GET", where, model=Tracking, expected={"order_id": order_id})
    except Missing:
        return None


async def fetch_refunds(client: DigitalRiverClient, order_id: OrderId) -> Entries[Refund]:
    """All refunds of an order, newest first; none for an order that does not exist."""
    return await fetch_every(
        client, path("/refunds"), {"order_id": order_id}, {"orderId": order_id}, Listing[Refund]
    )


async def fetch_fulfillments(client: DigitalRiverClient, order_id: OrderId) -> Entries[Fulfillment]:
    """All fulfillments of an order, newest first; none for an order that does not exist."""
    return await fetch_every(
        client, path("/fulfillments"), {"order_id": order_id}, {"orderId": order_id}, Listing[Fulfillment]
    )
