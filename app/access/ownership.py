"""Makes every read name the owner of what it reads, so that no query returns another customer's data.

Every read of one resource names an `Owner`: a customer, or `Anybody`, which only a recorded read by support
has. There is no default and no None, so a read that forgets its owner is a type error.
"""

from typing import final

import sqlalchemy as sa

from app.access import audit_log
from app.access.audit_log import AuditRecordId
from app.db.engine import AsyncEngine
from app.digital_river.api import orders
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.models import Order
from app.ids import CustomerId, OrderId


@final
class Anybody:
    """Any owner, or none: the read is by support and is in the audit log.

    The service that finds the resource must name its owner with `attribute`. Otherwise the answer is a 500.
    """

    def __init__(self, engine: AsyncEngine, record_id: AuditRecordId) -> None:
        self._engine = engine
        self._record_id = record_id
        self.is_attributed = False

    async def attribute(self, customer_id: CustomerId | None) -> None:
        """Add the owner of what was found to the record, and commit it. None means that it is a guest's."""
        if customer_id is not None:
            async with self._engine.begin() as connection:
                await audit_log.set_customer(connection, self._record_id, customer_id)
        self.is_attributed = True


Owner = CustomerId | Anybody
"""The owner that a resource must have to be read. Guests' orders have no owner: only `Anybody` finds them."""


def owned_by(column: sa.ColumnElement[str | None], owner: Owner) -> sa.ColumnElement[bool]:
    """The condition that a row belongs to the owner, by the column with the customer id."""
    if isinstance(owner, Anybody):
        return sa.true()
    # A literal, because `== None` would become IS NULL, which finds guests' rows.
    return column == sa.literal(owner, sa.Text)


async def fetch_owned_order(client: DigitalRiverClient, owner: Owner, order_id: OrderId) -> Order:
    """The order at Digital River, if it is the owner's. A read by support is attributed to its customer.

    Raises:
        Missing: the order does not exist, or belongs to another customer or a guest.
        DigitalRiverError: the call failed, or the order cannot be read.
    """
    if not isinstance(owner, Anybody):
        return await orders.fetch_order(client, order_id, owner=owner)
    order = await orders.fetch_any_order(client, order_id)
    await owner.attribute(None if order.customer_id is None else CustomerId(order.customer_id))
    return order
