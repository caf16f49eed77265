"""The inbox: every authentic event once. The row is the job; no second queue could disagree with it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db.schema import inlined, metadata
from app.ids import EventId

CHANNEL = "portal_inbox"
BATCH = 500
# While one write waits for the disk, the next one is gathered and sent.
WRITERS = 4
# Digital River waits 3,000 ms (docs, Webhooks best practices). They must do for the body, which has a second,
# for the write under way and for the next one: a 503 in time tells it more than silence.
WRITE_SECONDS = 0.7

State = Literal["pending", "done", "ignored", "buried"]
Origin = Literal["webhook", "sweep"]

webhook_event = sa.Table(
    "webhook_event",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text),
    sa.Column("happened_at", sa.DateTime(timezone=True)),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # The text as it was signed: jsonb would refuse some authentic bodies (\u0000) and reorder all others.
    # It may be personal, so it is kept only while it may be needed; then its digest (SHA-256) stays.
    sa.Column("body", sa.Text),
    # When to handle it next. A claim moves it by the length of the lease: that is the lease.
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("claims", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("reason", sa.Text),
    sa.Column("errors", JSONB, nullable=False, server_default=sa.text("'[]'::jsonb")),
    sa.Column("body_digest", sa.LargeBinary),
    sa.CheckConstraint("state IN ('pending', 'done', 'ignored', 'buried')", name="state"),
    sa.CheckConstraint("origin IN ('webhook', 'sweep')", name="origin"),
    sa.Index("ix_webhook_event_due", "due_at", postgresql_where=sa.text("state = 'pending'")),
    sa.Index("ix_webhook_event_state", "state", "received_at", "id"),
    sa.Index("ix_webhook_event_type", "type", "received_at", "id"),
    sa.Index("ix_webhook_event_received", "received_at", "id"),
    sa.Index("ix_webhook_event_order_id", "order_id"),
    sa.Index(
        "ix_webhook_event_kept_body",
        "state",
        "finished_at",
        postgresql_where=sa.text("body IS NOT NULL AND finished_at IS NOT NULL"),
    ),
)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An authentic event, not yet kept. `state` is `pending` for types somebody handles, else `ignored`; of
    those the digest is kept instead of the body."""

    id: EventId
    type: str
    state: Literal["pending", "ignored"]
    order_id: str | None
    happened_at: datetime | None
    body: str | None
    body_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """An event in the hands of one worker. `number` fences: whoever claimed later has a higher one. `body` is
    None when it was let go before the event was revived."""

    id: EventId
    type: str
    body: str | None
    attempts: int
    number: int
    age: timedelta


class LeaseLost(Exception):
    """The claim ran out and somebody else may have the event: the transaction must not be committed."""


_PUT = """
WITH kept AS (
    INSERT INTO webhook_event (id, type, state, order_id, happened_at, body, body_digest, origin, finished_at)
    SELECT id, type, state, order_id, happened_at, body, digest, $8, CASE state WHEN 'ignored' THEN now() END
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::bytea[])
        AS event (id, type, state, order_id, happened_at, body, digest)
    ORDER BY id -- two processes with the same duplicates must lock them in the same order
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT id, (SELECT pg_notify($9, '')) FROM kept
"""


async def put(pool: asyncpg.Pool, events: Sequence[NewEvent], origin: Origin) -> set[str]:
    """Keep the events that are not kept yet, in one statement, and wake the workers.

    Returns the ids that are new. When this returns, they are committed."""
    rows = await pool.fetch(
        _PUT,
        [event.id for event in events],
        [event.type for event in events],
        [event.state for event in events],
        [event.order_id for event in events],
        [event.happened_at for event in events],
        [event.body for event in events],
        [event.body_digest for event in events],
        origin,
        CHANNEL,
    )
    return {row["id"] for row in rows}


class Slot:
    """Where deliveries drop their events. Those that arrive while a write is under way share the next
    write, so a burst costs few commits, and each is answered only after its own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[NewEvent, asyncio.Future[bool]]] = []
        self._writers: set[asyncio.Task[None]] = set()

    async def drop(self, event: NewEvent) -> bool:
        """Keep one event; True when it is new, False when it was kept before. Committed on return.

        Raises:
            TimeoutError: neither the write under way nor the next one has kept it, as far as is known.
        """
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, kept))
        if len(self._writers) < WRITERS:
            writer = asyncio.create_task(self._write())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        # However many wait, and whatever becomes of their writes.
        async with asyncio.timeout(2 * WRITE_SECONDS):
            return await kept

    async def _write(self) -> None:
        while self._waiting:
            # Whoever has given up meanwhile will deliver again.
            self._waiting = [one for one in self._waiting if not one[1].done()]
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if batch:
                await self._write_batch(batch)

    async def _write_batch(self, batch: list[tuple[NewEvent, asyncio.Future[bool]]]) -> None:
        try:
            # Whether a write that took too long was committed is not known; the retry finds out.
            async with asyncio.timeout(WRITE_SECONDS):
                new = await put(self._pool, [event for event, _ in batch], "webhook")
        except BaseException as error:
            for _, kept in batch:
                if not kept.done():
                    kept.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for event, kept in batch:
            if not kept.done():
                kept.set_result(event.id in new)
            # The same event twice in one batch: the second one is the duplicate.
            new.discard(event.id)


async def claim(engine: AsyncEngine, *, limit: int, lease: float) -> list[Claim]:
    """Take up to `limit` due events for `lease` seconds, oldest first; each counts as an attempt now, so
    that an event which kills its worker is buried in the end."""
    table = webhook_event
    # A CTE, because a bare limited subquery may be run again and take more rows than its limit. PostgreSQL
    # never folds one that locks rows into its surroundings.
    due = (
        sa.select(table.c.id)
        .where(in_state("pending"), table.c.due_at <= sa.func.now())
        .order_by(table.c.due_at)
        .limit(inlined(limit))
        .with_for_update(skip_locked=True)
        .cte()
    )
    statement = (
        sa.update(table)
        .where(table.c.id == due.c.id)
        .values(
            due_at=sa.func.now() + timedelta(seconds=lease),
            attempts=table.c.attempts + 1,
            claims=table.c.claims + 1,
        )
        .returning(
            table.c.id,
            table.c.type,
            table.c.body,
            table.c.attempts,
            table.c.claims,
            (sa.func.now() - table.c.received_at).label("age"),
        )
    )
    async with engine.begin() as connection:
        rows = await connection.execute(statement)
        return [Claim(EventId(r.id), r.type, r.body, r.attempts, r.claims, r.age) for r in rows]


async def finish(connection: AsyncConnection, held: Claim) -> None:
    """Mark the event as done, inside the transaction that stores what it did.

    Raises:
        LeaseLost: the claim is no longer held; roll back.
    """
    await _settle(connection, held, state="done", finished_at=sa.func.now(), reason=None)


async def bury(connection: AsyncConnection, held: Claim, reason: str) -> None:
    """Set the event aside with the reason, until an operator revives it.

    Raises:
        LeaseLost: the claim is no longer held; roll back.
    """
    await _settle(
        connection,
        held,
        state="buried",
        finished_at=sa.func.now(),
        reason=reason,
        errors=_errors_with(reason),
    )


async def postpone(connection: AsyncConnection, held: Claim, *, delay: timedelta, error: str) -> None:
    """Try again after `delay`, with the error on record; the attempt is spent.

    Raises:
        LeaseLost: the claim is no longer held; roll back.
    """
    await _settle(connection, held, due_at=sa.func.now() + delay, reason=error, errors=_errors_with(error))


async def give_back(
    connection: AsyncConnection, held: Claim, *, delay: timedelta, reason: str | None
) -> None:
    """Let it be handled after `delay`; the attempt is not spent, since nothing was tried.

    Raises:
        LeaseLost: the claim is no longer held; roll back.
    """
    await _settle(
        connection,
        held,
        due_at=sa.func.now() + delay,
        attempts=webhook_event.c.attempts - 1,
        reason=reason,
    )


async def find_wait(engine: AsyncEngine) -> float | None:
    """Seconds until the next open event is due (0 when one is), None when nothing is open."""
    statement = sa.select(
        sa.func.extract("epoch", sa.func.min(webhook_event.c.due_at) - sa.func.now())
    ).where(in_state("pending"))
    async with engine.connect() as connection:
        seconds = (await connection.execute(statement)).scalar()
    return None if seconds is None else max(0.0, float(seconds))


def in_state(state: State) -> sa.ColumnElement[bool]:
    """The state stands in the statement as text: a plan made without its values can use no partial index."""
    return webhook_event.c.state == inlined(state)


def _errors_with(error: str) -> sa.ColumnElement[object]:
    table = webhook_event
    entry = sa.func.jsonb_build_object(
        "attempt", table.c.attempts, "at", sa.func.now(), "error", sa.cast(error, sa.Text)
    )
    return table.c.errors.op("||")(sa.func.jsonb_build_array(entry))


async def _settle(connection: AsyncConnection, held: Claim, **values: object) -> None:
    table = webhook_event
    statement = (
        sa.update(table)
        .where(table.c.id == held.id, table.c.claims == held.number, table.c.state == "pending")
        .values(**values)
        .returning(table.c.id)
    )
    if (await connection.execute(statement)).first() is None:
        raise LeaseLost(held.id)
