"""The table of requests that must happen once, and all its statements."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import inlined, metadata
from app.idempotency.fingerprint import Fingerprint
from app.ids import CustomerId

# Renewed while the request is served. A process that dies blocks its key no longer than this.
LEASE_SECONDS = 30.0
RESPONSE_LIFETIME = timedelta(hours=24)
# Each stored response deletes up to so many expired ones, so that the table stays small.
EXPIRED_BATCH_SIZE = 20
_RESPONSE_COLUMNS = ("body_digest", "body_size", "request_digest", "status", "headers", "content")

idempotent_request = sa.Table(
    "idempotent_request",
    metadata,
    # A digest of caller, route and key. None of them is needed again, and each can be long.
    sa.Column("name", sa.LargeBinary, primary_key=True),
    # The customer whose response it is, so that their erasure finds it.
    sa.Column("customer_id", sa.Text),
    sa.Column("holder", UUID(as_uuid=True), nullable=False),
    # While the request is served: the end of its lease. Afterwards: the expiry of the response.
    sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
    sa.Column("body_digest", sa.LargeBinary),
    sa.Column("body_size", sa.BigInteger),
    # A digest of the query and the meaning of the body. Requests are compared by it if it is known.
    sa.Column("request_digest", sa.LargeBinary),
    sa.Column("status", sa.Integer),
    sa.Column("headers", JSONB),
    sa.Column("content", sa.LargeBinary),
    sa.Index("ix_idempotent_request_valid_until", "valid_until"),
    sa.Index("ix_idempotent_request_customer_id", "customer_id"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to serve a request. No other holder has it at the same time."""

    name: bytes
    holder: uuid.UUID


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another holder is serving the request; `seconds` until its lease ends."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The first response to a request, and the fingerprint of that request."""

    fingerprint: Fingerprint
    status: int
    headers: Mapping[str, str]
    content: bytes


def request_name(*, issuer: str, subject: str, customer_id: CustomerId | None, route: str, key: str) -> bytes:
    """A digest that is the same only for the same caller, route and key. Subject and customer together are
    the caller, because one subject may act for several customers."""
    return hashlib.sha256(json.dumps([issuer, subject, customer_id, route, key]).encode()).digest()


async def claim_request(
    connection: AsyncConnection, name: bytes, customer_id: CustomerId | None
) -> Claim | StoredResponse | InProgress:
    """Claim the request, or return its stored response, or say that another holder is serving it. The caller
    must commit before it serves the request."""
    table = idempotent_request
    claim = Claim(name, uuid.uuid4())
    claimed = {
        "holder": claim.holder,
        "valid_until": sa.func.now() + timedelta(seconds=LEASE_SECONDS),
        **dict.fromkeys(_RESPONSE_COLUMNS, sa.null()),
    }
    upsert = (
        insert(table)
        .values(name=name, customer_id=customer_id, **claimed)
        .on_conflict_do_update(
            index_elements=[table.c.name], set_=claimed, where=table.c.valid_until <= sa.func.now()
        )
        .returning(table.c.name)
    )
    if (await connection.execute(upsert)).first() is not None:
        return claim
    left = sa.func.extract("epoch", table.c.valid_until - sa.func.now()).label("left")
    row = (await connection.execute(sa.select(table, left).where(table.c.name == name))).first()
    # No row: its holder has just released it. It was still concurrent with this request.
    if row is None or row.status is None:
        return InProgress(0.0 if row is None else float(row.left))
    fingerprint = Fingerprint(row.body_digest, row.body_size, row.request_digest)
    return StoredResponse(fingerprint, row.status, row.headers, row.content)


async def renew_claim(connection: AsyncConnection, claim: Claim) -> bool:
    """Renew the lease. False if it has run out and another holder has the request."""
    table = idempotent_request
    statement = (
        sa.update(table)
        .where(table.c.name == claim.name, table.c.holder == claim.holder, table.c.status.is_(None))
        .values(valid_until=sa.func.now() + timedelta(seconds=LEASE_SECONDS))
        .returning(table.c.name)
    )
    return (await connection.execute(statement)).first() is not None


async def store_response(connection: AsyncConnection, claim: Claim, response: StoredResponse) -> bool:
    """Store the response for 24 hours. False if the lease has run out and another holder has the request."""
    table = idempotent_request
    update = (
        sa.update(table)
        .where(table.c.name == claim.name, table.c.holder == claim.holder)
        .values(
            valid_until=sa.func.now() + RESPONSE_LIFETIME,
            body_digest=response.fingerprint.body_digest,
            body_size=response.fingerprint.body_size,
            request_digest=response.fingerprint.request_digest,
            status=response.status,
            headers=dict(response.headers),
            content=response.content,
        )
        .returning(table.c.name)
    )
    expired = (
        sa.select(table.c.name)
        .where(table.c.valid_until <= sa.func.now())
        .order_by(table.c.valid_until)
        .limit(inlined(EXPIRED_BATCH_SIZE))
        .with_for_update(skip_locked=True)
        .cte("past")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    is_stored = (await connection.execute(update)).first() is not None
    await connection.execute(sa.delete(table).where(table.c.name == expired.c.name))
    return is_stored


async def release_claim(connection: AsyncConnection, claim: Claim) -> None:
    """Give up the claim, so that the request can be served again at once."""
    table = idempotent_request
    statement = sa.delete(table).where(table.c.name == claim.name, table.c.holder == claim.holder)
    await connection.execute(statement)


async def delete_responses(connection: AsyncConnection, customer_id: CustomerId) -> None:
    """Delete the stored responses to this customer. Requests that are being served stay claimed."""
    table = idempotent_request
    statement = sa.delete(table).where(table.c.customer_id == customer_id, table.c.status.is_not(None))
    await connection.execute(statement)
