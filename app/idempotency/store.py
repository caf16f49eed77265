"""The table of requests that must happen once, and every statement about it."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db.schema import in_plain_sight, metadata
from app.idempotency.fingerprint import Fingerprint
from app.ids import CustomerId

# Prolonged while the request is served: whoever dies while serving it blocks its key no longer than that.
LEASE_SECONDS = 30.0
KEPT_FOR = timedelta(hours=24)
# Each kept answer clears away more than one that is past its time, so that the table does not grow for ever.
CLEARED_AT_ONCE = 20
_OF_ANSWER = ("body_digest", "body_size", "request_digest", "status", "headers", "content")

idempotent_request = sa.Table(
    "idempotent_request",
    metadata,
    # A digest of caller, route and key: none of them is needed again, and all of them are of any length.
    sa.Column("name", sa.LargeBinary, primary_key=True),
    # Whose answer it is, for the day on which they ask to be forgotten.
    sa.Column("customer_id", sa.Text),
    sa.Column("holder", UUID(as_uuid=True), nullable=False),
    # While it is served, the end of its lease; once it is answered, the end of the answer.
    sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
    sa.Column("body_digest", sa.LargeBinary),
    sa.Column("body_size", sa.BigInteger),
    # Of query and meaning of the body: what requests are compared by, where it is known.
    sa.Column("request_digest", sa.LargeBinary),
    sa.Column("status", sa.Integer),
    sa.Column("headers", JSONB),
    sa.Column("content", sa.LargeBinary),
    sa.Index("ix_idempotent_request_valid_until", "valid_until"),
    sa.Index("ix_idempotent_request_customer_id", "customer_id"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """A request that its holder, and nobody else, may serve now."""

    name: bytes
    holder: uuid.UUID


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else is serving the request; `seconds` until it is free, should its holder have died."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer to a request, and the request that it answered."""

    request: Fingerprint
    status: int
    headers: Mapping[str, str]
    content: bytes


def name_of(*, issuer: str, subject: str, customer_id: CustomerId | None, route: str, key: str) -> bytes:
    """The request's name: the same for the same caller, route and key, and for no others. One subject may
    speak for several customers, so both are the caller."""
    return hashlib.sha256(json.dumps([issuer, subject, customer_id, route, key]).encode()).digest()


async def claim_request(
    engine: AsyncEngine, name: bytes, customer_id: CustomerId | None
) -> Held | Answer | Busy:
    """Take the request to serve it, or learn its answer, or that somebody else is serving it."""
    table = idempotent_request
    held = Held(name, uuid.uuid4())
    fresh = {
        "holder": held.holder,
        "valid_until": sa.func.now() + timedelta(seconds=LEASE_SECONDS),
        **dict.fromkeys(_OF_ANSWER, sa.null()),
    }
    claim = (
        insert(table)
        .values(name=name, customer_id=customer_id, **fresh)
        .on_conflict_do_update(
            index_elements=[table.c.name], set_=fresh, where=table.c.valid_until <= sa.func.now()
        )
        .returning(table.c.name)
    )
    async with engine.begin() as connection:
        if (await connection.execute(claim)).first() is not None:
            return held
        left = sa.func.extract("epoch", table.c.valid_until - sa.func.now()).label("left")
        row = (await connection.execute(sa.select(table, left).where(table.c.name == name))).first()
    # No row: whoever served it has just freed it. To this caller it was concurrent all the same.
    if row is None or row.status is None:
        return Busy(0.0 if row is None else float(row.left))
    request = Fingerprint(row.body_digest, row.body_size, row.request_digest)
    return Answer(request, row.status, row.headers, row.content)


async def prolong(engine: AsyncEngine, held: Held) -> bool:
    """Begin the lease anew. False when it has run out and somebody else has the request."""
    table = idempotent_request
    statement = (
        sa.update(table)
        .where(table.c.name == held.name, table.c.holder == held.holder, table.c.status.is_(None))
        .values(valid_until=sa.func.now() + timedelta(seconds=LEASE_SECONDS))
        .returning(table.c.name)
    )
    async with engine.begin() as connection:
        return (await connection.execute(statement)).first() is not None


async def keep_answer(engine: AsyncEngine, held: Held, answer: Answer) -> bool:
    """Keep the answer for 24 hours. False when the lease has run out and somebody else has the request."""
    table = idempotent_request
    keep = (
        sa.update(table)
        .where(table.c.name == held.name, table.c.holder == held.holder)
        .values(
            valid_until=sa.func.now() + KEPT_FOR,
            body_digest=answer.request.digest,
            body_size=answer.request.size,
            request_digest=answer.request.request,
            status=answer.status,
            headers=dict(answer.headers),
            content=answer.content,
        )
        .returning(table.c.name)
    )
    past = (
        sa.select(table.c.name)
        .where(table.c.valid_until <= sa.func.now())
        .order_by(table.c.valid_until)
        .limit(in_plain_sight(CLEARED_AT_ONCE))
        .with_for_update(skip_locked=True)
        .cte("past")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    async with engine.begin() as connection:
        is_kept = (await connection.execute(keep)).first() is not None
        await connection.execute(sa.delete(table).where(table.c.name == past.c.name))
    return is_kept


async def free_request(engine: AsyncEngine, held: Held) -> None:
    """Let the request be served again at once."""
    table = idempotent_request
    statement = sa.delete(table).where(table.c.name == held.name, table.c.holder == held.holder)
    async with engine.begin() as connection:
        await connection.execute(statement)


async def erase_answers(connection: AsyncConnection, customer_id: CustomerId) -> None:
    """Erase the kept answers to this customer's requests; what is being served stays claimed."""
    table = idempotent_request
    statement = sa.delete(table).where(table.c.customer_id == customer_id, table.c.status.is_not(None))
    await connection.execute(statement)
