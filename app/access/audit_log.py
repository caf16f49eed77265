"""The table of reads by support. A record never changes, except that its customer is added once known."""

from collections.abc import Collection, Mapping, Sequence
from typing import NewType

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import metadata
from app.ids import CustomerId

AuditRecordId = NewType("AuditRecordId", int)

# The ids that a path may hold instead of a customer's.
_RESOURCE_IDS = {"order": "path_ids ->> 'orderId'", "document": "path_ids ->> 'documentId'"}

audit_record = sa.Table(
    "audit_record",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # Who read: the subject of the token.
    sa.Column("subject", sa.Text, nullable=False),
    # The owner of the data. Null for guests, for what was not found, and until the owner is known.
    sa.Column("customer_id", sa.Text),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("path_ids", JSONB, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Index("ix_audit_record_customer", "customer_id", "at"),
    *(
        sa.Index(
            f"ix_audit_record_{name}",
            sa.text(f"({path_id})"),
            postgresql_where=sa.text("customer_id IS NULL"),
        )
        for name, path_id in _RESOURCE_IDS.items()
    ),
)


async def insert_record(
    connection: AsyncConnection,
    *,
    subject: str,
    customer_id: CustomerId | None,
    operation: str,
    path_ids: Mapping[str, str],
    request_id: str,
) -> AuditRecordId:
    """Insert a record of a read that is about to happen. Returns the record's id."""
    statement = sa.insert(audit_record).values(
        subject=subject,
        customer_id=customer_id,
        operation=operation,
        path_ids=dict(path_ids),
        request_id=request_id,
    )
    return AuditRecordId((await connection.execute(statement.returning(audit_record.c.id))).scalar_one())


async def set_customer(
    connection: AsyncConnection, record_id: AuditRecordId, customer_id: CustomerId
) -> None:
    """Add to the record the customer whose data was read."""
    table = audit_record
    statement = sa.update(table).where(table.c.id == record_id).values(customer_id=customer_id)
    (await connection.execute(statement.returning(table.c.id))).one()


async def list_records(
    connection: AsyncConnection, customer_id: CustomerId, resource_ids: Collection[str]
) -> Sequence[sa.RowMapping]:
    """The records of reads that named this customer or one of these orders and documents, newest first."""
    table = audit_record
    # One array, because a statement may have at most 32,767 parameters.
    ids = sa.any_(sa.cast([*resource_ids], sa.ARRAY(sa.Text)))
    named = (
        sa.and_(table.c.customer_id.is_(None), sa.literal_column(path_id, sa.Text) == ids)
        for path_id in _RESOURCE_IDS.values()
    )
    statement = sa.select(table.c.at, table.c.operation).where(
        sa.or_(table.c.customer_id == customer_id, *named)
    )
    return (
        (await connection.execute(statement.order_by(table.c.at.desc(), table.c.id.desc()))).mappings().all()
    )
