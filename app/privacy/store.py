"""The table of requests to be forgotten, and what the inbox holds about one customer.

A request to be forgotten stays for ever: it proves what was done.
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
    # By whom: the subject of the token.
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # When and what Digital River answered, and when all was erased here; empty when it did not come so far.
    sa.Column("answered_at", sa.DateTime(timezone=True)),
    sa.Column("answer", sa.Text),
    sa.Column("erased_at", sa.DateTime(timezone=True)),
    sa.Index("ix_forget_request_customer_id", "customer_id", "id"),
)


async def insert_forget_request(
    connection: AsyncConnection, customer_id: CustomerId, *, subject: str, request_id: str
) -> int:
    """Put on record that the customer asks to be forgotten; returns the record's id."""
    values = {"customer_id": customer_id, "subject": subject, "request_id": request_id}
    statement = sa.insert(forget_request).values(values).returning(forget_request.c.id)
    return int((await connection.execute(statement)).scalar_one())


async def record_answer(connection: AsyncConnection, record_id: int, answer: str) -> None:
    """Add what Digital River answered."""
    await _update_forget_request(connection, record_id, answered_at=sa.func.now(), answer=answer)


async def record_erasure(connection: AsyncConnection, record_id: int) -> None:
    """Add that everything was erased here."""
    await _update_forget_request(connection, record_id, erased_at=sa.func.now())


async def _update_forget_request(connection: AsyncConnection, record_id: int, **values: object) -> None:
    statement = sa.update(forget_request).where(forget_request.c.id == record_id).values(**values)
    await connection.execute(statement)


async def list_forget_requests(
    connection: AsyncConnection, customer_id: CustomerId
) -> Sequence[sa.RowMapping]:
    """All requests of this customer, the last one first."""
    table = forget_request
    statement = sa.select(table).where(table.c.customer_id == customer_id).order_by(table.c.id.desc())
    return (await connection.execute(statement)).mappings().all()


async def list_all_forget_requests(
    connection: AsyncConnection, *, only: CustomerId | None, before: int | None, limit: int
) -> Sequence[sa.RowMapping]:
    """For operators: the requests of all customers or of `only` one, the last one first."""
    table = forget_request
    statement = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    if only is not None:
        statement = statement.where(table.c.customer_id == only)
    if before is not None:
        statement = statement.where(table.c.id < before)
    return (await connection.execute(statement)).mappings().all()


async def list_held_events(
    connection: AsyncConnection, customer_id: CustomerId, order_ids: Collection[str]
) -> Sequence[sa.RowMapping]:
    """The events of these orders, and the buried ones that name the customer, with their bodies; the last
    received first."""
    table = webhook_event
    # One array, because a statement may have no more than 32,767 values. Two questions, because each has an
    # index that leads to its rows.
    are_of_orders = table.c.order_id == sa.any_(sa.cast([*order_ids], sa.ARRAY(sa.Text)))
    name_customer = sa.and_(
        # Not those that wait: there may be very many for an hour, and then they are of an order.
        in_state("buried"),
        table.c.body.regexp_match(rf'"customerId"\s*:\s*"?{re.escape(customer_id)}"?\s*[,}}]'),
    )
    found = sa.union(*(sa.select(table.c.id).where(which) for which in (are_of_orders, name_customer)))
    columns = (table.c.type, table.c.state, table.c.order_id, table.c.happened_at, table.c.received_at)
    statement = sa.select(*columns, table.c.body).where(table.c.id.in_(found))
    rows = await connection.execute(statement.order_by(table.c.received_at.desc(), table.c.id.desc()))
    return rows.mappings().all()
