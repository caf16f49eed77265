"""What a buyer may ask about orders. Whose it is comes first: until that is known, nothing else is read."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

import structlog

from app.access.ownership import Owner, fetch_owned_order
from app.db.leases import LeaseBusy
from app.digital_river.api import orders
from app.digital_river.api.pagination import Entries, each_page
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import DigitalRiverError, Garbled, Missing, Refused
from app.digital_river.models import Fulfillment, Listing, Order, Refund
from app.documents import service as documents
from app.documents.schemas import OrderDocumentsView, order_documents_view
from app.ids import CustomerId, OrderId
from app.orders import cursors, tracking, views
from app.orders.schemas import OrderView, Part
from app.orders.tracking import TrackingView
from app.orders.views import OrderParts
from app.resources import Resources
from app.web.problems import Invalid, NotFound

# How long a page waits for what it can do without.
PART_TIMEOUT_SECONDS = 5.0
# How the list of all orders is read: its pages one by one, what belongs to the orders at the same time.
ORDERS_PER_PAGE = 100
MAX_PAGES = 20
MAX_CONCURRENT_READS = 8

OrderState = Literal[
    "pending_payment",
    "in_review",
    "accepted",
    "fulfilled",
    "complete",
    "returned",
    "cancelled",
    "blocked",
    "dispute",
]

_Result = TypeVar("_Result")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which of a customer's orders to list; both bounds are inclusive."""

    state: OrderState | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One piece of the list, newest first; `next_cursor` is None at its end."""

    orders: Sequence[Order]
    next_cursor: str | None
    unreadable: int


async def get_owned_order(resources: Resources, owner: Owner, order_id: OrderId) -> Order:
    """The order, if it is the owner's.

    Raises:
        NotFound: there is none, or it is somebody else's or a guest's: the answers do not differ.
        DigitalRiverError: Digital River could not be asked.
    """
    try:
        return await fetch_owned_order(resources.digital_river, owner, order_id)
    except Missing:
        raise NotFound() from None


async def list_orders(
    resources: Resources, customer_id: CustomerId, wanted: OrderFilter, *, limit: int, cursor: str | None
) -> OrderPage:
    """The customer's orders that are wanted, `limit` of them at most.

    Raises:
        Invalid: the cursor is not one of this list, or the bounds are the wrong way round.
        DigitalRiverError: Digital River could not be asked.
    """
    if wanted.created_from and wanted.created_to and wanted.created_from > wanted.created_to:
        raise Invalid.at("/query/createdTo", "This must not be before createdFrom.")
    secret = resources.settings.digital_river_secret_key
    try:
        found = await orders.fetch_orders(
            resources.digital_river,
            customer_id=customer_id,
            state=wanted.state,
            created_from=wanted.created_from,
            created_to=wanted.created_to,
            limit=limit,
            starting_after=None if cursor is None else cursors.verify_cursor(secret, customer_id, cursor),
        )
    except Refused:
        if cursor is None:
            raise
        # The order it stands for is gone: nothing else of these parameters can be refused.
        raise cursors.invalid_cursor() from None
    last = found.next_after
    return OrderPage(
        orders=found.data,
        next_cursor=None if last is None else cursors.sign_cursor(secret, customer_id, last),
        unreadable=found.unreadable("data"),
    )


async def get_order_parts(
    resources: Resources,
    owner: Owner,
    order_id: OrderId,
    *,
    base_url: str,
) -> OrderParts:
    """The order with everything that belongs to it, read at the same time. What cannot be read within a few
    seconds is left out, because a page without it is better than none. `base_url` is this API's, with a slash
    at its end.

    Raises:
        NotFound, DigitalRiverError: as `get_owned_order`.
    """
    order = await get_owned_order(resources, owner, order_id)
    async with asyncio.TaskGroup() as group:
        paid_back = group.create_task(
            _fetch_optional("refunds", orders.fetch_refunds(resources.digital_river, order_id))
        )
        settled = group.create_task(
            _fetch_optional("shipments", orders.fetch_fulfillments(resources.digital_river, order_id))
        )
        listed = group.create_task(
            _fetch_optional("documents", _get_documents_view(resources, owner, order, base_url))
        )
    back, shipped = paid_back.result(), settled.result()
    return OrderParts(
        order,
        back,
        # Of some of the shipments no quantity can be told.
        None if shipped is None or shipped.unreadable or any(map(_lacks_items, shipped)) else shipped,
        listed.result(),
        refunds_left_out=0 if back is None else back.unreadable,
    )


async def get_refunds(resources: Resources, owner: Owner, order_id: OrderId) -> tuple[Order, Entries[Refund]]:
    """The order and its refunds, newest first.

    Raises:
        NotFound, DigitalRiverError: as `get_owned_order`.
    """
    order = await get_owned_order(resources, owner, order_id)
    return order, await orders.fetch_refunds(resources.digital_river, order_id)


async def get_tracking(resources: Resources, owner: Owner, order_id: OrderId) -> TrackingView:
    """Where the order's parcels are: Global Logistics is asked first, because only one of the two ships.

    Raises:
        NotFound, DigitalRiverError: as `get_owned_order`.
    """
    order = await get_owned_order(resources, owner, order_id)
    found = await orders.find_tracking(resources.digital_river, order_id)
    if found is not None and found.shipments:
        return tracking.from_logistics(order, found)
    shipped = await orders.fetch_fulfillments(resources.digital_river, order_id)
    return tracking.from_shop(order, shipped, unreadable=shipped.unreadable)


async def list_all_order_views(client: DigitalRiverClient, customer_id: CustomerId) -> Sequence[OrderView]:
    """Every order as its page shows it, newest first, without documents, which are exported by themselves.

    What only the buyer may see of a refund, the token for bank details, is left out.

    Raises:
        DigitalRiverError: a part was not to be had, or there are more than 2000 orders.
    """
    found = await _fetch_all_orders(client, customer_id)
    slots = asyncio.Semaphore(MAX_CONCURRENT_READS)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_fetch_order_view(client, order, slots)) for order in found]
    return [task.result() for task in tasks]


async def _get_documents_view(
    resources: Resources, owner: Owner, order: Order, base_url: str
) -> OrderDocumentsView:
    return order_documents_view(await documents.get_documents_of_order(resources, owner, order), base_url)


async def _fetch_all_orders(client: DigitalRiverClient, customer_id: CustomerId) -> list[Order]:
    async def fetch_page(after: str | None) -> Listing[Order]:
        return await orders.fetch_orders(
            client, customer_id=customer_id, limit=ORDERS_PER_PAGE, starting_after=after
        )

    found: list[Order] = []
    async for page in each_page(fetch_page, of="the list of one customer's orders", most=MAX_PAGES):
        if page.unreadable("data"):
            raise Garbled("an order of the customer cannot be read")
        found += page.data
    return found


async def _fetch_order_view(client: DigitalRiverClient, order: Order, slots: asyncio.Semaphore) -> OrderView:
    order_id = OrderId(order.id)
    async with slots:
        paid_back = await orders.fetch_refunds(client, order_id)
        shipped = await orders.fetch_fulfillments(client, order_id)
    parts = OrderParts(
        order,
        refunds=paid_back.all(),
        fulfillments=shipped.all(),
        documents=None,
    )
    whole = views.order_view(parts, is_buyers=False)
    incomplete = [part for part in whole.incomplete if part != "documents"]
    return whole.model_copy(update={"incomplete": incomplete})


def _lacks_items(fulfillment: Fulfillment) -> bool:
    return bool(fulfillment.unreadable("items"))


async def _fetch_optional(part: Part, reading: Awaitable[_Result]) -> _Result | None:
    try:
        async with asyncio.timeout(PART_TIMEOUT_SECONDS):
            return await reading
    except (DigitalRiverError, LeaseBusy, TimeoutError) as error:
        log.warning("orders.part_left_out", part=part, error=type(error).__name__)
        return None
