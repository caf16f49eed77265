"""The tables of documents and of what is known about orders, and every statement about them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.ownership import Anybody, Owner, owned_by
from app.db.hot_pool import HotPool
from app.db.schema import metadata
from app.documents.availability import Availability
from app.documents.link_policy import MAXIMUM_LIFETIME, MINIMUM_LIFETIME, Link, LinkPolicy
from app.documents.link_store import file_link
from app.ids import CustomerId, DocumentId, FileId, OrderId

DocumentKind = Literal["invoice", "creditMemo"]

document = sa.Table(
    "document",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True, server_default=sa.func.gen_random_uuid()),
    sa.Column("file_id", sa.Text, nullable=False, unique=True),
    sa.Column("order_id", sa.Text, nullable=False),
    # Null for a guest. Only support can read the documents of guests.
    sa.Column("customer_id", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("available_since", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.CheckConstraint("kind IN ('invoice', 'creditMemo')", name="kind"),
    sa.Index("ix_document_customer", "customer_id", "created_at", "id"),
    sa.Index("ix_document_customer_kind", "customer_id", "kind", "created_at", "id"),
    sa.Index("ix_document_order_id", "order_id"),
)

order_check = sa.Table(
    "order_check",
    metadata,
    # What Digital River said of an order's documents, so that reloading a page does not call it again.
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text),
    sa.Column("invoice", sa.Text, nullable=False),
    sa.Column("credit_memo", sa.Text, nullable=False),
    sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Index("ix_order_check_checked_at", "checked_at"),
    sa.Index("ix_order_check_customer_id", "customer_id"),
)

order_absence = sa.Table(
    "order_absence",
    metadata,
    # A hash of the order id and of the reader, so that one reader learns nothing from the row of another.
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # Every request for an unknown order writes a row. If a crash loses rows, Digital River is called again.
    prefixes=["UNLOGGED"],
)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document that Digital River announced, with the data of its file."""

    file_id: FileId
    order_id: OrderId
    # None for a guest.
    customer_id: CustomerId | None
    kind: DocumentKind
    file_name: str
    created_at: datetime


class Document(NamedTuple):
    """A stored document. `link` is None unless a stored link may be handed out and lives long enough."""

    id: DocumentId
    file_id: FileId
    order_id: OrderId
    # None for a guest.
    customer_id: CustomerId | None
    kind: DocumentKind
    file_name: str
    created_at: datetime
    available_since: datetime
    link: Link | None


@dataclass(frozen=True, slots=True)
class Position:
    """The last document of a page, after which the next page begins."""

    created_at: datetime
    id: DocumentId


@dataclass(frozen=True, slots=True)
class OrderCheck:
    """What Digital River last said of an order's documents, and how long ago."""

    # None for a guest.
    customer_id: CustomerId | None
    invoice: Availability
    credit_memo: Availability
    age: timedelta


# In one order, because another transaction with the same files waits for the first lock.
_UPSERT_DOCUMENTS = sa.text("""
INSERT INTO document AS stored (file_id, order_id, customer_id, kind, file_name, created_at)
SELECT *
FROM unnest(
    CAST(:file_id AS text[]), CAST(:order_id AS text[]), CAST(:customer_id AS text[]),
    CAST(:kind AS text[]), CAST(:file_name AS text[]), CAST(:created_at AS timestamptz[])
) AS new (file_id, order_id, customer_id, kind, file_name, created_at)
ORDER BY file_id
ON CONFLICT (file_id) DO UPDATE SET customer_id = excluded.customer_id WHERE stored.customer_id IS NULL
""")


async def upsert_documents(connection: AsyncConnection, documents: Sequence[NewDocument]) -> None:
    """Store each document once for each file id. A later announcement can only add the customer."""
    columns = ("file_id", "order_id", "customer_id", "kind", "file_name", "created_at")
    values = {name: [getattr(new, name) for new in documents] for name in columns}
    await connection.execute(_UPSERT_DOCUMENTS, values)


async def list_document_kinds(
    connection: AsyncConnection, owner: Owner, order_id: OrderId
) -> frozenset[DocumentKind]:
    """The kinds of which the owner has documents for this order."""
    statement = sa.select(document.c.kind).distinct()
    statement = statement.where(document.c.order_id == order_id, owned_by(document.c.customer_id, owner))
    return frozenset((await connection.execute(statement)).scalars())


async def list_known_file_ids(
    connection: AsyncConnection, order_id: OrderId, *, is_guest_order: bool
) -> set[str]:
    """The file ids of the order's stored documents, except those whose customer is still unknown. In a
    guest's order no customer is expected."""
    statement = sa.select(document.c.file_id).where(document.c.order_id == order_id)
    if not is_guest_order:
        statement = statement.where(document.c.customer_id.is_not(None))
    return set((await connection.execute(statement)).scalars())


async def find_order_owner(connection: AsyncConnection, order_id: OrderId) -> CustomerId | None:
    """The order's customer according to its check or its documents; None for a guest or if it is unknown."""
    of_check = sa.select(order_check.c.customer_id).where(order_check.c.order_id == order_id)
    of_documents = sa.select(sa.func.max(document.c.customer_id)).where(document.c.order_id == order_id)
    customer_id = sa.func.coalesce(of_check.scalar_subquery(), of_documents.scalar_subquery())
    found = (await connection.execute(sa.select(customer_id))).scalar_one()
    return None if found is None else CustomerId(found)


async def list_owned_ids(connection: AsyncConnection, customer_id: CustomerId) -> set[str]:
    """The ids of the customer's documents, and of the orders that are known as the customer's."""
    owned = document.c.customer_id == customer_id
    found = sa.union(
        sa.select(sa.cast(document.c.id, sa.Text)).where(owned),
        sa.select(document.c.order_id).where(owned),
        sa.select(order_check.c.order_id).where(order_check.c.customer_id == customer_id),
    )
    return set((await connection.execute(found)).scalars())


async def upsert_order_check(
    connection: AsyncConnection,
    order_id: OrderId,
    *,
    customer_id: CustomerId | None,
    invoice: Availability,
    credit_memo: Availability,
) -> None:
    """Store what Digital River has just said of the order. `customer_id` is None for a guest's order."""
    values = {"customer_id": customer_id, "invoice": invoice, "credit_memo": credit_memo}
    statement = insert(order_check).values(order_id=order_id, **values)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[order_check.c.order_id], set_={**values, "checked_at": sa.func.now()}
        )
    )


async def find_order_check(connection: AsyncConnection, owner: Owner, order_id: OrderId) -> OrderCheck | None:
    """What Digital River last said of the owner's order; None if nothing is stored for this owner."""
    statement = sa.select(
        order_check.c.customer_id,
        order_check.c.invoice,
        order_check.c.credit_memo,
        (sa.func.now() - order_check.c.checked_at).label("age"),
    ).where(order_check.c.order_id == order_id, owned_by(order_check.c.customer_id, owner))
    row = (await connection.execute(statement)).first()
    if row is None:
        return None
    customer_id = None if row.customer_id is None else CustomerId(row.customer_id)
    return OrderCheck(customer_id, row.invoice, row.credit_memo, row.age)


async def upsert_order_absence(connection: AsyncConnection, owner: Owner, order_id: OrderId) -> None:
    """Store that Digital River has no such order of this owner."""
    statement = insert(order_absence).values(digest=_absence_digest(owner, order_id), seen_at=sa.func.now())
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[order_absence.c.digest], set_={"seen_at": statement.excluded.seen_at}
        )
    )


async def is_order_absent(
    connection: AsyncConnection, owner: Owner, order_id: OrderId, *, within: timedelta
) -> bool:
    """Whether Digital River had no such order of this owner at some time `within` the past."""
    statement = sa.select(order_absence.c.digest).where(
        order_absence.c.digest == _absence_digest(owner, order_id),
        order_absence.c.seen_at > sa.func.now() - within,
    )
    return (await connection.execute(statement)).first() is not None


def _absence_digest(owner: Owner, order_id: OrderId) -> bytes:
    # Null stands for support, because no customer's id is null.
    reader = None if isinstance(owner, Anybody) else owner
    return sha256(json.dumps([reader, order_id]).encode()).digest()


# Documents are the most frequent reads, so they use asyncpg directly. Each set of filters has a statement of
# its own, because PostgreSQL would plan one statement for all sets without an index.
FROM_DOCUMENTS = f"""
FROM document d
LEFT JOIN {file_link.name} l ON l.file_id = d.file_id
    AND l.expires_at > now() + interval '{MINIMUM_LIFETIME.total_seconds():.0f} seconds'
    AND l.expires_at <= now() + interval '{MAXIMUM_LIFETIME.total_seconds():.0f} seconds'
"""
SELECT_DOCUMENTS = f"""
SELECT d.id::text, d.file_id, d.order_id, d.customer_id, d.kind, d.file_name, d.created_at, d.available_since,
       l.link_id, l.url, l.expires_at
{FROM_DOCUMENTS}"""


async def find_document(
    pool: HotPool, policy: LinkPolicy, owner: Owner, document_id: DocumentId
) -> Document | None:
    """The document, if it exists and is the owner's. Takes the pool: `make bench` measures it."""
    conditions, values = where_clause(owner, {"d.id = {}": (document_id,)})
    row = await pool.fetchrow(SELECT_DOCUMENTS + conditions, *values)
    return None if row is None else document_of_row(row, policy)


def where_clause(owner: Owner, filters: Mapping[str, tuple[object, ...]]) -> tuple[str, list[object]]:
    """The WHERE clause for the owner and for the filters that have values, and the values of its parameters.

    The owner is not among the filters, because a filter is left out if its value is None.
    """
    given: dict[str, tuple[object, ...]]
    given = {} if isinstance(owner, Anybody) else {"d.customer_id = {}": (owner,)}
    given |= {condition: values for condition, values in filters.items() if None not in values}
    values = [value for group in given.values() for value in group]
    parameters = (f"${number}" for number in range(1, len(values) + 1))
    return f"WHERE {' AND '.join(given)}".format(*parameters) if given else "", values


def document_of_row(row: Any, policy: LinkPolicy) -> Document:
    """The document in a row of SELECT_DOCUMENTS."""
    # By position and not by name, for speed: a page has up to a hundred rows of eleven columns.
    *columns, link_id, url, expires_at = row
    is_allowed = url is not None and policy.allows(url)
    return Document._make([*columns, Link(link_id, url, expires_at) if is_allowed else None])
