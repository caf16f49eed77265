"""What operators ask of the tables: events, whatever their state, and what may be forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.customers.store import certificate_upload
from app.db.buckets import rate_bucket
from app.db.leases import lease
from app.db.schema import in_plain_sight, metadata
from app.documents.store import file_link, order_check
from app.idempotency.store import idempotent_request
from app.ids import EventId
from app.webhooks.inbox import CHANNEL, State, in_state, webhook_event
from app.webhooks.store import sweep

_SUMMARY = (
    webhook_event.c.id,
    webhook_event.c.type,
    webhook_event.c.state,
    webhook_event.c.origin,
    webhook_event.c.order_id,
    webhook_event.c.happened_at,
    webhook_event.c.received_at,
    webhook_event.c.due_at,
    webhook_event.c.finished_at,
    webhook_event.c.attempts,
    webhook_event.c.reason,
)


async def list_events(
    connection: AsyncConnection,
    *,
    state: State | None,
    event_type: str | None,
    order_id: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[sa.RowMapping]:
    """Events, the last received first."""
    table = webhook_event
    statement = sa.select(*_SUMMARY).order_by(table.c.received_at.desc(), table.c.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(in_state(state))
    wanted = ((table.c.type, event_type), (table.c.order_id, order_id))
    for column, value in wanted:
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(sa.tuple_(table.c.received_at, table.c.id) < sa.tuple_(*after))
    return (await connection.execute(statement)).mappings().all()


async def find_event(connection: AsyncConnection, event_id: EventId) -> sa.RowMapping | None:
    """One event with the error of each attempt."""
    statement = sa.select(*_SUMMARY, webhook_event.c.errors).where(webhook_event.c.id == event_id)
    return (await connection.execute(statement)).mappings().first()


_IS_BURIED = in_state("buried")
# One that is in a worker's hands may be among them. That costs work done twice, and nothing else: it
# is claimed again, and whoever has it now can no longer finish it.
_IS_WAITING = sa.and_(
    in_state("pending"), webhook_event.c.reason.is_not(None), webhook_event.c.due_at > sa.func.now()
)


async def revive(connection: AsyncConnection, event_ids: Sequence[EventId]) -> set[EventId]:
    """Let these events be handled now; returns those that were stuck. A buried one has all its attempts
    before it again; one that waits after a failure keeps count."""
    table = webhook_event
    statement = (
        sa.update(table)
        .where(
            table.c.id == sa.any_(sa.cast([*event_ids], sa.ARRAY(sa.Text))), sa.or_(_IS_BURIED, _IS_WAITING)
        )
        .values(
            state="pending",
            due_at=sa.func.now(),
            attempts=sa.case((_IS_BURIED, 0), else_=table.c.attempts),
            reason=sa.case((_IS_BURIED, None), else_=table.c.reason),
            finished_at=None,
        )
        .returning(table.c.id)
    )
    revived = {EventId(one) for one in (await connection.execute(statement)).scalars()}
    if revived:
        await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return revived


async def revive_all(connection: AsyncConnection, event_type: str | None, *, limit: int) -> set[EventId]:
    """Revive up to `limit` stuck events, the buried ones first; returns their ids."""
    table = webhook_event
    found: list[EventId] = []
    # Two questions, because each has an index that leads to the first ones.
    for is_stuck, order in ((_IS_BURIED, table.c.received_at), (_IS_WAITING, table.c.due_at)):
        statement = sa.select(table.c.id).where(is_stuck).order_by(order)
        if event_type is not None:
            statement = statement.where(table.c.type == event_type)
        chosen = await connection.execute(statement.limit(in_plain_sight(limit - len(found))))
        found += map(EventId, chosen.scalars())
    return await revive(connection, found)


async def count_events(connection: AsyncConnection, state: State) -> int:
    """How many events are in a state."""
    statement = sa.select(sa.func.count()).select_from(webhook_event).where(in_state(state))
    return (await connection.execute(statement)).scalar_one()


async def is_migrated(connection: AsyncConnection) -> bool:
    """Whether every table is there that this version uses. More may be there: the next version's."""
    names = sa.func.unnest(sa.cast([*metadata.tables], sa.ARRAY(sa.Text))).column_valued("name")
    statement = sa.select(sa.func.bool_and(sa.func.to_regclass(names).is_not(None)))
    return bool((await connection.execute(statement)).scalar())


async def find_oldest_open_age(connection: AsyncConnection) -> timedelta | None:
    """How long the oldest open event has been waiting; None when none is open."""
    age = sa.type_coerce(sa.func.now() - sa.func.min(webhook_event.c.received_at), sa.Interval)
    statement = sa.select(age).where(in_state("pending"))
    return (await connection.execute(statement)).scalar()


@dataclass(frozen=True, slots=True)
class Perishable:
    """Rows that may be forgotten. `order` lets an index lead to the first ones."""

    table: sa.Table
    is_past: sa.ColumnElement[bool]
    order: sa.ColumnElement[Any]


# Longer than Digital River lists events: a sweep must recognise everything that it may find.
EVENTS_KEPT = timedelta(days=45)

PERISHABLES = (
    Perishable(
        webhook_event,
        sa.and_(
            webhook_event.c.state.in_(("done", "ignored")),
            webhook_event.c.received_at < sa.func.now() - EVENTS_KEPT,
            webhook_event.c.finished_at < sa.func.now() - EVENTS_KEPT,
        ),
        webhook_event.c.received_at,
    ),
    Perishable(file_link, file_link.c.expires_at < sa.func.now(), file_link.c.expires_at),
    # Only hints that spare a far-side call.
    Perishable(order_check, order_check.c.checked_at < sa.func.now() - EVENTS_KEPT, order_check.c.checked_at),
    Perishable(
        idempotent_request, idempotent_request.c.valid_until < sa.func.now(), idempotent_request.c.valid_until
    ),
    Perishable(sweep, sweep.c.finished_at < sa.func.now() - EVENTS_KEPT, sweep.c.finished_at),
    Perishable(lease, lease.c.held_until < sa.func.now() - timedelta(days=1), lease.c.held_until),
    # In the order of the key, because there are hardly any.
    Perishable(
        certificate_upload,
        certificate_upload.c.begun_at < sa.func.now() - EVENTS_KEPT,
        certificate_upload.c.digest,
    ),
    # A full bucket of a key at rest: without its row it is full too. In the order of the key, because there
    # is no index of the times.
    Perishable(
        rate_bucket, rate_bucket.c.full_at < sa.func.now() - timedelta(minutes=10), rate_bucket.c.digest
    ),
)


def perished(what: Perishable, *, limit: int) -> sa.Select[tuple[object]]:
    """The keys of up to `limit` rows that may be deleted, in their order; what others hold is left out."""
    (key,) = what.table.primary_key.columns
    rows = sa.select(key).where(what.is_past).order_by(what.order)
    return rows.limit(in_plain_sight(limit)).with_for_update(skip_locked=True)


async def delete_perished(connection: AsyncConnection, what: Perishable, *, limit: int) -> int:
    """Delete up to `limit` of these rows; returns how many."""
    (key,) = what.table.primary_key.columns
    # MATERIALIZED, because a bare limited subquery may be run again and take more rows than its limit.
    past = perished(what, limit=limit).cte("past").prefix_with("MATERIALIZED", dialect="postgresql")
    deleted = await connection.execute(sa.delete(what.table).where(key == past.c[key.name]))
    return deleted.rowcount
