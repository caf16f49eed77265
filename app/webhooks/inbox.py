"""The inbox: the table of events, and every change of an event's state.

Each authentic event has one row, and the row is the job: no second queue can disagree with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import inlined, metadata
from app.ids import EventId

CHANNEL = "portal_inbox"

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
    # It may be personal, so it is deleted when it is no longer needed; its digest (SHA-256) stays.
    sa.Column("body", sa.Text),
    # When to handle it next. A claim sets it to the end of its lease.
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
class Claim:
    """An event that a worker has claimed. `number` is a fencing token: a later claim has a higher one.
    `body` is None if it was deleted before an operator revived the event. `unexplained` attempts ended
    without an error: their worker was killed, or could not reach PostgreSQL."""

    id: EventId
    type: str
    body: str | None
    attempts: int
    number: int
    age: timedelta
    unexplained: int


class LeaseLost(Exception):
    """The claim is no longer held, and another worker may have the event: do not commit the transaction."""


def in_state(state: State) -> sa.ColumnElement[bool]:
    """Whether an event is in `state`, as a literal: no generic plan uses a partial index for a parameter."""
    return webhook_event.c.state == inlined(state)


async def claim_events(connection: AsyncConnection, *, limit: int, lease: float) -> list[Claim]:
    """Claim up to `limit` due events for `lease` seconds, the oldest first. Commit before you handle them.
    The attempt is counted now, so that an event which always kills its worker is buried."""
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
            (table.c.attempts - 1 - sa.func.jsonb_array_length(table.c.errors)).label("unexplained"),
        )
    )
    rows = await connection.execute(statement)
    return [Claim(EventId(r.id), r.type, r.body, r.attempts, r.claims, r.age, r.unexplained) for r in rows]


_FINISH = sa.text("""
WITH held AS (
    SELECT event.id
    FROM unnest(CAST(:ids AS text[]), CAST(:numbers AS integer[])) AS claimed (id, number)
    JOIN webhook_event AS event ON event.id = claimed.id AND event.claims = claimed.number
    WHERE event.state = 'pending'
    ORDER BY event.id -- as `revival.revive` locks them, which finds them by the index of the ids
    FOR UPDATE OF event
)
UPDATE webhook_event AS event SET state = 'done', finished_at = now(), reason = NULL
FROM held WHERE event.id = held.id
RETURNING event.id, event.claims
""")


async def finish_events(connection: AsyncConnection, claims: Sequence[Claim]) -> set[Claim]:
    """Mark the events as done, in the transaction that stores their effects. Returns the claims that were
    held: of the others, whose lease was lost, no effect may be stored."""
    values = {"ids": [claim.id for claim in claims], "numbers": [claim.number for claim in claims]}
    rows = await connection.execute(_FINISH, values)
    finished = {(row.id, row.claims) for row in rows}
    return {claim for claim in claims if (claim.id, claim.number) in finished}


async def bury(connection: AsyncConnection, claim: Claim, reason: str) -> None:
    """Set the event aside with the reason, until an operator revives it. Raises LeaseLost: roll back."""
    await _update(
        connection,
        claim,
        state="buried",
        finished_at=sa.func.now(),
        reason=reason,
        errors=_errors_with(reason),
    )


async def retry(connection: AsyncConnection, claim: Claim, *, delay: timedelta, error: str) -> None:
    """Make the event due again after `delay`, and add the error; the attempt is spent. Raises LeaseLost."""
    await _update(connection, claim, due_at=sa.func.now() + delay, reason=error, errors=_errors_with(error))


async def postpone(
    connection: AsyncConnection, claim: Claim, *, delay: timedelta, reason: str | None
) -> None:
    """Make the event due again after `delay`; the attempt is not spent. Raises LeaseLost: roll back."""
    values = {"due_at": sa.func.now() + delay, "attempts": webhook_event.c.attempts - 1, "reason": reason}
    await _update(connection, claim, **values)


def _errors_with(error: str) -> sa.ColumnElement[object]:
    table = webhook_event
    entry = sa.func.jsonb_build_object(
        "attempt", table.c.attempts, "at", sa.func.now(), "error", sa.cast(error, sa.Text)
    )
    return table.c.errors.op("||")(sa.func.jsonb_build_array(entry))


async def _update(connection: AsyncConnection, claim: Claim, **values: object) -> None:
    table = webhook_event
    statement = (
        sa.update(table)
        .where(table.c.id == claim.id, table.c.claims == claim.number, table.c.state == "pending")
        .values(**values)
        .returning(table.c.id)
    )
    if (await connection.execute(statement)).first() is None:
        raise LeaseLost(claim.id)


def select_expired_bodies(state: State, retention: timedelta, *, limit: int) -> sa.Select[tuple[str]]:
    """Select the ids of up to `limit` events in `state` that were finished at least `retention` ago and still
    have their body, in the order of an index."""
    table = webhook_event
    rows = sa.select(table.c.id).where(
        in_state(state), table.c.body.is_not(None), table.c.finished_at <= sa.func.now() - retention
    )
    ordered = rows.order_by(table.c.finished_at).limit(inlined(limit))
    return ordered.with_for_update(skip_locked=True)


async def delete_bodies(
    connection: AsyncConnection, state: State, retention: timedelta, *, limit: int
) -> int:
    """Replace up to `limit` expired bodies by their digests; returns how many."""
    table = webhook_event
    # MATERIALIZED, because a bare limited subquery may be run again and take more rows than its limit.
    past = (
        select_expired_bodies(state, retention, limit=limit)
        .cte("past")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    values: dict[str, Any] = {
        "body": None,
        "body_digest": sa.func.sha256(sa.func.convert_to(table.c.body, "UTF8")),
    }
    if state == "ignored":
        values["order_id"] = None
    changed = await connection.execute(sa.update(table).where(table.c.id == past.c.id).values(**values))
    return changed.rowcount


async def find_seconds_until_due(connection: AsyncConnection) -> float | None:
    """Seconds until the next pending event is due, 0 if one is due now; None if none is pending."""
    statement = sa.select(
        sa.func.extract("epoch", sa.func.min(webhook_event.c.due_at) - sa.func.now())
    ).where(in_state("pending"))
    seconds = (await connection.execute(statement)).scalar()
    return None if seconds is None else max(0.0, float(seconds))


async def find_oldest_pending_age(connection: AsyncConnection) -> timedelta | None:
    """How long ago the oldest pending event was received; None if none is pending."""
    age = sa.type_coerce(sa.func.now() - sa.func.min(webhook_event.c.received_at), sa.Interval)
    statement = sa.select(age).where(in_state("pending"))
    return (await connection.execute(statement)).scalar()


async def count_events(connection: AsyncConnection, state: State) -> int:
    """How many events are in `state`."""
    statement = sa.select(sa.func.count()).select_from(webhook_event).where(in_state(state))
    return (await connection.execute(statement)).scalar_one()
