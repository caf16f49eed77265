"""Reads orders for a buyer or for support. Each function checks an order's owner before it reads more."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import structlog

from app.access.ownership import Owner, fetch_owned_order
from app.db.leases import LeaseBusy
from app.digital_river.api import orders
from app.digital_river.api.pagination import Entries, iterate_pages
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import DigitalRiverError, Garbled, Missing
from app.digital_river.models import Fulfillment, Listing, Order, Refund
from app.documents import service as documents
from app.documents.schemas import OrderDocumentsView, order_documents_view
from app.ids import CustomerId, OrderId
from app.orders import tracking, views
from app.orders.schemas import OrderView, Part
from app.orders.tracking import TrackingView
from app.orders.views import OrderParts
from app.resources import Resources
from app.web.problems import NotFound

# How long the order page waits for each part that it can be shown without.
PART_TIMEOUT_SECONDS = 5.0

# The export reads the pages of the list one by one, and the parts of several orders at the same time.
ORDERS_PER_PAGE = 100
MAX_PAGES = 20
MAX_CONCURRENT_READS = 8

_Result = TypeVar("_Result")

log = structlog.get_logger()


async def get_owned_order(client: DigitalRiverClient, owner: Owner, order_id: OrderId) -> Order:
    """The order, if it is the owner's.

    Raises:
        NotFound: the order does not exist, or is another customer's or a guest's. The answer is the same.
        DigitalRiverError: Digital River did not answer with an order.
    """
    try:
        return await fetch_owned_order(client, owner, order_id)
    except Missing:
        raise NotFound() from None


async def get_order_parts(
    resources: Resources, owner: Owner, order_id: OrderId, *, base_url: str
) -> OrderParts:
    """The order with its refunds, shipments and documents, which are read at the same time. A part that fails
    or takes more than PART_TIMEOUT_SECONDS is None. `base_url` is the URL of this API and ends with a slash.

    Raises:
        NotFound, DigitalRiverError: as `get_owned_order`.
    """
    client = resources.digital_river
    order = await get_owned_order(client, owner, order_id)
    async with asyncio.TaskGroup() as group:
        refunds_task = group.create_task(_fetch_optional("refunds", orders.fetch_refunds(client, order_id)))
        fulfillments_task = group.create_task(
            _fetch_optional("shipments", orders.fetch_fulfillments(client, order_id))
        )
        documents_task = group.create_task(
            _fetch_optional("documents", _get_documents_view(resources, owner, order, base_url))
        )
    refunds, fulfillments = refunds_task.result(), fulfillments_task.result()
    return OrderParts(
        order,
        refunds,
        # If a shipment is missing, the quantities of the others would be too low.
        None if fulfillments is None or _lacks_entries(fulfillments) else fulfillments,
        documents_task.result(),
        refunds_left_out=0 if refunds is None else refunds.unreadable,
    )


async def get_refunds(
    client: DigitalRiverClient, owner: Owner, order_id: OrderId
) -> tuple[Order, Entries[Refund]]:
    """The order and its refunds, newest first.

    Raises:
        NotFound, DigitalRiverError: as `get_owned_order`.
    """
    order = await get_owned_order(client, owner, order_id)
    return order, await orders.fetch_refunds(client, order_id)


async def get_tracking(client: DigitalRiverClient, owner: Owner, order_id: OrderId) -> TrackingView:
    """Where the order's parcels are. Either Global Logistics ships an order or the shop does, so the
    fulfillments that the shop reported count only if Global Logistics has no shipment.

    Raises:
        NotFound, DigitalRiverError: as `get_owned_order`.
    """
    order = await get_owned_order(client, owner, order_id)
    logistics = await orders.find_tracking(client, order_id)
    if logistics is not None and logistics.shipments:
        return tracking.from_logistics(order, logistics)
    fulfillments = await orders.fetch_fulfillments(client, order_id)
    return tracking.from_shop(order, fulfillments, unreadable=fulfillments.unreadable)


async def list_all_order_views(client: DigitalRiverClient, customer_id: CustomerId) -> Sequence[OrderView]:
    """All orders of the customer as order pages, newest first, for the export. They come without documents,
    because the export lists those itself, and without the token for bank details, which only the buyer may
    see.

    Raises:
        DigitalRiverError: a part cannot be read, or the customer has more than 2000 orders.
    """
    all_orders = await _fetch_all_orders(client, customer_id)
    semaphore = asyncio.Semaphore(MAX_CONCURRENT_READS)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_fetch_order_view(client, order, semaphore)) for order in all_orders]
    return [task.result() for task in tasks]


async def _get_documents_view(
    resources: Resources, owner: Owner, order: Order, base_url: str
) -> OrderDocumentsView:
    return order_documents_view(await documents.refresh_order_documents(resources, owner, order), base_url)


async def _fetch_all_orders(client: DigitalRiverClient, customer_id: CustomerId) -> list[Order]:
    async def fetch_page(after: str | None) -> Listing[Order]:
        return await orders.fetch_orders(
            client, customer_id=customer_id, limit=ORDERS_PER_PAGE, starting_after=after
        )

    all_orders: list[Order] = []
    async for page in iterate_pages(
        fetch_page, list_name="the list of one customer's orders", max_pages=MAX_PAGES
    ):
        if page.unreadable("data"):
            raise Garbled("an order of the customer cannot be read")
        all_orders += page.data
    return all_orders


async def _fetch_order_view(
    client: DigitalRiverClient, order: Order, semaphore: asyncio.Semaphore
) -> OrderView:
    order_id = OrderId(order.id)
    async with semaphore:
        refunds = await orders.fetch_refunds(client, order_id)
        fulfillments = await orders.fetch_fulfillments(client, order_id)
    parts = OrderParts(
        order,
        refunds=refunds.require_complete(),
        fulfillments=fulfillments.require_complete(),
        documents=None,
    )
    view = views.order_view(parts, for_buyer=False)
    incomplete = [part for part in view.incomplete if part != "documents"]
    return view.model_copy(update={"incomplete": incomplete})


def _lacks_entries(fulfillments: Entries[Fulfillment]) -> bool:
    return bool(fulfillments.unreadable) or any(
        fulfillment.unreadable("items") for fulfillment in fulfillments
    )


async def _fetch_optional(part: Part, result: Awaitable[_Result]) -> _Result | None:
    """The result; None if Digital River or a lease prevents it, or if it takes too long."""
    try:
        async with asyncio.timeout(PART_TIMEOUT_SECONDS):
            return await result
    except (DigitalRiverError, LeaseBusy, TimeoutError) as error:
        log.warning("orders.part_left_out", part=part, error=type(error).__name__)
        return None
