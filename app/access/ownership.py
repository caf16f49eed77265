"""Who must own what is read, and how PostgreSQL and Digital River are asked for nothing else.

Every read of one thing names an `Owner`: a customer, or `Anybody`, which only a read by support on record can
have. There is no default and no None, so a read that forgets its owner is a type error.
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
    """The owner may be anybody, or nobody: support is asking, and its read is on record.

    The service that finds the thing must say whose it is, with `attribute`, or there is no answer.
    """

    def __init__(self, engine: AsyncEngine, record_id: AuditRecordId) -> None:
        self._engine = engine
        self._record_id = record_id
        self.is_attributed = False

    async def attribute(self, customer_id: CustomerId | None) -> None:
        """Add to the record whose thing was found; None: a guest's. When this returns, it is committed."""
        if customer_id is not None:
            async with self._engine.begin() as connection:
                await audit_log.attribute(connection, self._record_id, customer_id)
        self.is_attributed = True


Owner = CustomerId | Anybody
"""Who must own what is read. The things of guests have no owner: only `Anybody` finds them."""


def owned_by(column: sa.ColumnElement[str | None], owner: Owner) -> sa.ColumnElement[bool]:
    """The filter of a statement by the column that names the owner of a row."""
    if isinstance(owner, Anybody):
        return sa.true()
    # As a literal, because `== None` would become IS NULL, which finds the things of guests.
    return column == sa.literal(owner, sa.Text)


async def fetch_owned_order(client: DigitalRiverClient, owner: Owner, order_id: OrderId) -> Order:
    """The order at Digital River, if it is the owner's. A read by support is attributed to its customer.

    Raises:
        Missing: there is none, or it is somebody else's or a guest's.
        DigitalRiverError: Digital River could not be asked, or the owner's order cannot be read.
    """
    if not isinstance(owner, Anybody):
        return await orders.fetch_order(client, order_id, owner=owner)
    order = await orders.fetch_any_order(client, order_id)
    await owner.attribute(None if order.customer_id is None else CustomerId(order.customer_id))
    return order
