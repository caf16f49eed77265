"""The table of requests to be forgotten, and the query for a customer's events in the inbox.

A request to be forgotten is kept for ever: it proves what was done.
"""

import re
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import metadata
from app.ids import CustomerId
from app.webhooks.inbox import in_state, webhook_event

forget_request = sa.Table(
    "forget_request",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False),
    # The subject of the token that made the request.
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # When and what Digital River answered, and when the erasure here ended; null until then.
    sa.Column("answered_at", sa.DateTime(timezone=True)),
    sa.Column("answer", sa.Text),
    sa.Column("erased_at", sa.DateTime(timezone=True)),
    sa.Index("ix_forget_request_customer_id", "customer_id", "id"),
)


async def insert_forget_request(
    connection: AsyncConnection, customer_id: CustomerId, *, subject: str, request_id: str
) -> int:
    """Store that the customer asks to be forgotten; returns the id of the row."""
    values = {"customer_id": customer_id, "subject": subject, "request_id": request_id}
    statement = sa.insert(forget_request).values(values).returning(forget_request.c.id)
    return int((await connection.execute(statement)).scalar_one())


async def set_answer(connection: AsyncConnection, record_id: int, answer: str) -> None:
    """Add Digital River's answer, or the name of the error."""
    await _update_forget_request(connection, record_id, answered_at=sa.func.now(), answer=answer)


async def set_erased(connection: AsyncConnection, record_id: int) -> None:
    """Add that this service has erased everything that it does not keep."""
    await _update_forget_request(connection, record_id, erased_at=sa.func.now())


async def _update_forget_request(connection: AsyncConnection, record_id: int, **values: object) -> None:
    statement = sa.update(forget_request).where(forget_request.c.id == record_id).values(**values)
    await connection.execute(statement)


async def list_forget_requests(
    connection: AsyncConnection,
    customer_id: CustomerId,
    *,
    before: int | None = None,
    limit: int | None = None,
) -> Sequence[sa.RowMapping]:
    """The requests of this customer, the last one first; by default all of them."""
    statement = _last_first(before, limit).where(forget_request.c.customer_id == customer_id)
    return (await connection.execute(statement)).mappings().all()


async def list_all_forget_requests(
    connection: AsyncConnection, *, before: int | None, limit: int
) -> Sequence[sa.RowMapping]:
    """For operators: the requests of all customers, the last one first."""
    return (await connection.execute(_last_first(before, limit))).mappings().all()


def _last_first(before: int | None, limit: int | None) -> sa.Select[tuple[object, ...]]:
    table = forget_request
    statement = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    return statement if before is None else statement.where(table.c.id < before)


async def list_held_events(
    connection: AsyncConnection, customer_id: CustomerId, order_ids: Collection[str]
) -> Sequence[sa.RowMapping]:
    """The events of these orders, and the buried ones that name the customer, with their bodies; the last
    received first."""
    table = webhook_event
    # One array, because a statement may have no more than 32,767 parameters. Two queries, because each can
    # use an index.
    is_of_orders = table.c.order_id == sa.any_(sa.cast([*order_ids], sa.ARRAY(sa.Text)))
    names_customer = sa.and_(
        # Not the pending ones: for an hour they may be very many, and a pending event is about an order.
        in_state("buried"),
        table.c.body.regexp_match(rf'"customerId"\s*:\s*"?{re.escape(customer_id)}"?\s*[,}}]'),
    )
    found = sa.union(*(sa.select(table.c.id).where(rule) for rule in (is_of_orders, names_customer)))
    columns = (table.c.type, table.c.state, table.c.order_id, table.c.happened_at, table.c.received_at)
    statement = sa.select(*columns, table.c.body).where(table.c.id.in_(found))
    rows = await connection.execute(statement.order_by(table.c.received_at.desc(), table.c.id.desc()))
    return rows.mappings().all()
