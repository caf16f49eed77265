"""The tables of what has been begun at Digital River and may not have ended, and of what was asked for.

A tax identifier that is being replaced stands there from before the old one is deleted until the buyer has
one again, and no longer: its value is personal data. The file of a certificate stands there from when it was
uploaded until it is known whether the customer has it. A request to be forgotten stays for ever: it proves
what was done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.schema import metadata
from app.ids import CustomerId, FileId, TaxIdentifierId

tax_identifier_replacement = sa.Table(
    "tax_identifier_replacement",
    metadata,
    # Each replacement has made a new one of its own.
    sa.Column("new_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("old_value", sa.Text, nullable=False),
    sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Index("ix_tax_identifier_replacement_customer_id", "customer_id"),
)

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

certificate_upload = sa.Table(
    "certificate_upload",
    metadata,
    # Of the customer, the certificate's fields and the file's content.
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("file_id", sa.Text, nullable=False),
    sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Index("ix_certificate_upload_customer_id", "customer_id"),
)


@dataclass(frozen=True, slots=True)
class Replacement:
    """The new one, which exists and is to be attached, and what the old one is made anew from."""

    new_id: TaxIdentifierId
    customer_id: CustomerId
    type: str
    old_value: str


async def begin(engine: AsyncEngine, replacement: Replacement) -> None:
    """Put it on record. Committed on return."""
    statement = sa.insert(tax_identifier_replacement).values(
        new_id=replacement.new_id,
        customer_id=replacement.customer_id,
        type=replacement.type,
        old_value=replacement.old_value,
    )
    async with engine.begin() as connection:
        await connection.execute(statement)


async def end(engine: AsyncEngine, new_id: TaxIdentifierId) -> None:
    """Erase the record of one replacement."""
    statement = sa.delete(tax_identifier_replacement).where(tax_identifier_replacement.c.new_id == new_id)
    async with engine.begin() as connection:
        await connection.execute(statement)


async def list_unfinished(engine: AsyncEngine, customer_id: CustomerId) -> Sequence[Replacement]:
    """What has been begun for this customer and not ended, oldest first."""
    table = tax_identifier_replacement
    statement = (
        sa.select(table.c.new_id, table.c.customer_id, table.c.type, table.c.old_value)
        .where(table.c.customer_id == customer_id)
        .order_by(table.c.begun_at, table.c.new_id)
    )
    async with engine.connect() as connection:
        return [Replacement(*row) for row in await connection.execute(statement)]


async def list_customers(engine: AsyncEngine) -> Sequence[CustomerId]:
    """Everybody for whom something has been begun and not ended, the longest waiting first."""
    table = tax_identifier_replacement
    statement = (
        sa.select(table.c.customer_id).group_by(table.c.customer_id).order_by(sa.func.min(table.c.begun_at))
    )
    async with engine.connect() as connection:
        return [CustomerId(customer_id) for customer_id in await connection.scalars(statement)]


async def erase(engine: AsyncEngine, customer_id: CustomerId) -> None:
    """Erase this customer's records, ended or not."""
    async with engine.begin() as connection:
        for table in (tax_identifier_replacement, certificate_upload):
            await connection.execute(sa.delete(table).where(table.c.customer_id == customer_id))


async def keep_forget_request(
    engine: AsyncEngine, customer_id: CustomerId, *, subject: str, request_id: str
) -> int:
    """Put on record that the customer asks to be forgotten; returns the record's id. Committed on return."""
    values = {"customer_id": customer_id, "subject": subject, "request_id": request_id}
    statement = sa.insert(forget_request).values(values).returning(forget_request.c.id)
    async with engine.begin() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def keep_forget_answer(engine: AsyncEngine, record_id: int, answer: str) -> None:
    """Add what Digital River answered. Committed on return."""
    await _complete(engine, record_id, answered_at=sa.func.now(), answer=answer)


async def keep_erasure(engine: AsyncEngine, record_id: int) -> None:
    """Add that everything was erased here. Committed on return."""
    await _complete(engine, record_id, erased_at=sa.func.now())


async def _complete(engine: AsyncEngine, record_id: int, **values: object) -> None:
    statement = sa.update(forget_request).where(forget_request.c.id == record_id).values(**values)
    async with engine.begin() as connection:
        await connection.execute(statement)


async def list_forget_requests(
    engine: AsyncEngine,
    customer_id: CustomerId | None,
    *,
    before: int | None = None,
    limit: int | None = None,
) -> Sequence[sa.RowMapping]:
    """The customer's requests, or everybody's, the last one first."""
    table = forget_request
    statement = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    if customer_id is not None:
        statement = statement.where(table.c.customer_id == customer_id)
    if before is not None:
        statement = statement.where(table.c.id < before)
    async with engine.connect() as connection:
        return (await connection.execute(statement)).mappings().all()


async def find_upload(engine: AsyncEngine, digest: bytes) -> FileId | None:
    """The file of this certificate, when it was uploaded before and nobody knows what became of it."""
    statement = sa.select(certificate_upload.c.file_id).where(certificate_upload.c.digest == digest)
    async with engine.connect() as connection:
        found = await connection.scalar(statement)
    return None if found is None else FileId(found)


async def keep_upload(engine: AsyncEngine, customer_id: CustomerId, digest: bytes, file_id: FileId) -> None:
    """Remember the file of a certificate that Digital River is about to hear of. Committed on return."""
    row = {"digest": digest, "customer_id": customer_id, "file_id": file_id}
    async with engine.begin() as connection:
        await connection.execute(insert(certificate_upload).values(row).on_conflict_do_nothing())


async def end_upload(engine: AsyncEngine, digest: bytes) -> None:
    """It is known what became of the file."""
    async with engine.begin() as connection:
        await connection.execute(sa.delete(certificate_upload).where(certificate_upload.c.digest == digest))
