"""The tables of changes that may be unfinished at Digital River, so that a later request can finish them.

The replacement of a tax identifier is stored from before the old identifier is deleted until the buyer has
one again, and no longer: its value is personal data. The upload of a certificate is stored until it is known
whether the customer has the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import metadata
from app.ids import CustomerId, FileId, TaxIdentifierId

tax_identifier_replacement = sa.Table(
    "tax_identifier_replacement",
    metadata,
    # Each replacement creates a new tax identifier of its own.
    sa.Column("new_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("old_value", sa.Text, nullable=False),
    sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Index("ix_tax_identifier_replacement_customer_id", "customer_id"),
)

certificate_upload = sa.Table(
    "certificate_upload",
    metadata,
    # SHA-256 of the customer id, the fields of the certificate and the content of the file.
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("file_id", sa.Text, nullable=False),
    sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Index("ix_certificate_upload_customer_id", "customer_id"),
)


@dataclass(frozen=True, slots=True)
class Replacement:
    """The new tax identifier, which exists but is not attached yet, and the value of the old one."""

    new_id: TaxIdentifierId
    customer_id: CustomerId
    type: str
    old_value: str


async def insert_replacement(connection: AsyncConnection, replacement: Replacement) -> None:
    """Store that this replacement begins."""
    statement = sa.insert(tax_identifier_replacement).values(
        new_id=replacement.new_id,
        customer_id=replacement.customer_id,
        type=replacement.type,
        old_value=replacement.old_value,
    )
    await connection.execute(statement)


async def delete_replacement(connection: AsyncConnection, new_id: TaxIdentifierId) -> None:
    """Delete one replacement, which is finished."""
    table = tax_identifier_replacement
    await connection.execute(sa.delete(table).where(table.c.new_id == new_id))


async def list_replacements(connection: AsyncConnection, customer_id: CustomerId) -> Sequence[Replacement]:
    """The unfinished replacements of this customer, the oldest first."""
    table = tax_identifier_replacement
    statement = (
        sa.select(table.c.new_id, table.c.customer_id, table.c.type, table.c.old_value)
        .where(table.c.customer_id == customer_id)
        .order_by(table.c.begun_at, table.c.new_id)
    )
    return [Replacement(*row) for row in await connection.execute(statement)]


async def list_customers_with_replacements(connection: AsyncConnection) -> Sequence[CustomerId]:
    """All customers with an unfinished replacement, the oldest first."""
    table = tax_identifier_replacement
    statement = (
        sa.select(table.c.customer_id).group_by(table.c.customer_id).order_by(sa.func.min(table.c.begun_at))
    )
    return [CustomerId(customer_id) for customer_id in await connection.scalars(statement)]


async def find_upload(connection: AsyncConnection, digest: bytes) -> FileId | None:
    """The file of this certificate, if it was uploaded and may not be the customer's yet."""
    statement = sa.select(certificate_upload.c.file_id).where(certificate_upload.c.digest == digest)
    found = await connection.scalar(statement)
    return None if found is None else FileId(found)


async def insert_upload(
    connection: AsyncConnection, customer_id: CustomerId, digest: bytes, file_id: FileId
) -> None:
    """Store the uploaded file of a certificate, before Digital River gets the certificate."""
    row = {"digest": digest, "customer_id": customer_id, "file_id": file_id}
    await connection.execute(insert(certificate_upload).values(row).on_conflict_do_nothing())


async def delete_upload(connection: AsyncConnection, digest: bytes) -> None:
    """Delete the upload: it is known whether the customer has the file."""
    await connection.execute(sa.delete(certificate_upload).where(certificate_upload.c.digest == digest))


async def delete_customer_rows(connection: AsyncConnection, customer_id: CustomerId) -> None:
    """Delete the rows of this customer, finished or not. A running replacement continues without its row."""
    for table in (tax_identifier_replacement, certificate_upload):
        await connection.execute(sa.delete(table).where(table.c.customer_id == customer_id))
