"""All orders of a customer, for the export. What belongs to them is read too: half an order is none."""

import asyncio
from collections.abc import Sequence

from app.digital_river import fulfillments, orders, refunds
from app.digital_river.errors import Garbled
from app.digital_river.models import Listing, Order
from app.digital_river.pages import each_page
from app.digital_river.transport import Transport
from app.ids import CustomerId, OrderId
from app.orders import views
from app.orders.schemas import OrderView
from app.orders.views import OrderParts
from app.resources import Resources

ORDERS_AT_ONCE = 100
MOST_PAGES = 20
READS_AT_ONCE = 8


async def list_whole_orders(resources: Resources, customer_id: CustomerId) -> Sequence[OrderView]:
    """Every order as its page shows it, newest first, without documents, which are exported by themselves.

    What only the buyer may see of a refund, the token for bank details, is left out.

    Raises:
        DigitalRiverError: a part was not to be had, or there are more than 2000 orders.
    """
    found = await _fetch_all(resources.far.background, customer_id)
    slots = asyncio.Semaphore(READS_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_whole(resources.far.background, order, slots)) for order in found]
    return [task.result() for task in tasks]


async def _fetch_all(far: Transport, customer_id: CustomerId) -> list[Order]:
    async def fetch_page(after: str | None) -> Listing[Order]:
        return await orders.fetch_orders(
            far, customer_id=customer_id, limit=ORDERS_AT_ONCE, starting_after=after
        )

    found: list[Order] = []
    async for page in each_page(fetch_page, of="the list of one customer's orders", most=MOST_PAGES):
        if page.unreadable("data"):
            raise Garbled("an order of the customer cannot be read")
        found += page.data
    return found


async def _whole(far: Transport, order: Order, slots: asyncio.Semaphore) -> OrderView:
    order_id = OrderId(order.id)
    async with slots:
        paid_back = await refunds.fetch_refunds(far, order_id)
        shipped = await fulfillments.fetch_fulfillments(far, order_id)
    parts = OrderParts(
        order,
        refunds=paid_back.all(),
        fulfillments=shipped.all(),
        documents=None,
    )
    whole = views.page(parts, is_buyers=False)
    incomplete = [part for part in whole.incomplete if part != "documents"]
    return whole.model_copy(update={"incomplete": incomplete})
