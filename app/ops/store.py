"""What operators ask of the tables: events, whatever their state, and what may be forgotten."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.buckets import rate_bucket
from app.db.leases import lease
from app.db.schema import in_plain_sight, metadata
from app.documents.link_store import file_link, link_refusal
from app.documents.store import order_absence, order_check
from app.idempotency.store import idempotent_request
from app.ids import EventId
from app.tax.store import certificate_upload
from app.webhooks.inbox import CHANNEL, State, in_state, webhook_event
from app.webhooks.store import REACH, sweep

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
    event_id: str | None = None,
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
    wanted = ((table.c.id, event_id), (table.c.type, event_type), (table.c.order_id, order_id))
    for column, value in wanted:
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(sa.tuple_(table.c.received_at, table.c.id) < sa.tuple_(*after))
    return (await connection.execute(statement)).mappings().all()


async def find_event(connection: AsyncConnection, event_id: EventId) -> sa.RowMapping | None:
    """One event with the error of each attempt, and whether its body is still here."""
    table = webhook_event
    has_body = table.c.body.is_not(None).label("has_body")
    digest = sa.func.encode(table.c.body_digest, "hex").label("body_digest")
    statement = sa.select(*_SUMMARY, has_body, digest, table.c.errors).where(table.c.id == event_id)
    return (await connection.execute(statement)).mappings().first()


_IS_BURIED = in_state("buried")
# One that is in a worker's hands may be among them. That costs work done twice, and nothing else: it
# is claimed again, and whoever has it now can no longer finish it.
_IS_WAITING = sa.and_(
    in_state("pending"), webhook_event.c.reason.is_not(None), webhook_event.c.due_at > sa.func.now()
)


def _is_missed(handled: Collection[str]) -> sa.ColumnElement[bool]:
    """It came when nobody handled its type, and somebody does now."""
    return sa.and_(in_state("ignored"), webhook_event.c.type == sa.any_(_texts(handled)))


def _texts(texts: Collection[str]) -> sa.ColumnElement[Any]:
    return sa.cast([*texts], sa.ARRAY(sa.Text))


async def revive(
    connection: AsyncConnection, event_ids: Sequence[EventId], handled: Collection[str]
) -> set[EventId]:
    """Let these events be handled now; returns those that were stuck: buried ones, ignored ones whose type is
    `handled` by now, and those that wait after a failure, which keep count of their attempts."""
    table = webhook_event
    statement = (
        sa.update(table)
        .where(table.c.id == sa.any_(_texts(event_ids)), sa.or_(_IS_BURIED, _IS_WAITING, _is_missed(handled)))
        .values(
            state="pending",
            due_at=sa.func.now(),
            attempts=sa.case((_IS_WAITING, table.c.attempts), else_=0),
            reason=sa.case((_IS_WAITING, table.c.reason), else_=None),
            finished_at=None,
        )
        .returning(table.c.id)
    )
    revived = {EventId(one) for one in (await connection.execute(statement)).scalars()}
    if revived:
        await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return revived


async def revive_all(
    connection: AsyncConnection, event_type: str | None, handled: Collection[str], *, limit: int
) -> set[EventId]:
    """Revive up to `limit` stuck events, the buried ones first; returns their ids. Ignored ones are among
    them only where their type is named."""
    table = webhook_event
    found: list[EventId] = []
    # A question for each, because each has an index that leads to the first ones.
    stuck = [(_IS_BURIED, table.c.received_at), (_IS_WAITING, table.c.due_at)]
    if event_type in handled:
        # Of older ones there is nothing left that could be handled.
        is_readable = table.c.received_at > sa.func.now() - REACH
        stuck.append((sa.and_(in_state("ignored"), is_readable), table.c.received_at))
    for is_stuck, order in stuck:
        statement = sa.select(table.c.id).where(is_stuck).order_by(order)
        if event_type is not None:
            statement = statement.where(table.c.type == event_type)
        chosen = await connection.execute(statement.limit(in_plain_sight(limit - len(found))))
        found += map(EventId, chosen.scalars())
    return await revive(connection, found, handled)


async def count_events(connection: AsyncConnection, state: State) -> int:
    """How many events are in a state."""
    statement = sa.select(sa.func.count()).select_from(webhook_event).where(in_state(state))
    return (await connection.execute(statement)).scalar_one()


_COUNT_COLUMNS = sa.text(
    """SELECT count(*) FROM unnest(CAST(:tables AS text[]), CAST(:names AS text[])) AS used (tab, col)
       JOIN pg_attribute ON attrelid = to_regclass(tab) AND attname = col AND NOT attisdropped"""
)


async def is_migrated(connection: AsyncConnection) -> bool:
    """Whether every column is there that this version uses. More may be there: the next version's."""
    columns = [column for table in metadata.tables.values() for column in table.columns]
    found = await connection.execute(
        _COUNT_COLUMNS, {"tables": [c.table.name for c in columns], "names": [c.name for c in columns]}
    )
    return bool(found.scalar_one() == len(columns))


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

# For how long after an event is finished its body stays, which may be personal; its digest stays as long as
# the event does. A buried one that is revived later is read again at Digital River.
BODIES_KEPT: Mapping[State, timedelta] = {
    "done": timedelta(days=7),
    "buried": EVENTS_KEPT,
    # An earlier version has kept these.
    "ignored": timedelta(0),
}

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
    Perishable(
        order_absence,
        order_absence.c.seen_at < sa.func.now() - timedelta(minutes=10),
        order_absence.c.digest,
    ),
    Perishable(
        link_refusal,
        link_refusal.c.refused_at < sa.func.now() - timedelta(hours=1),
        link_refusal.c.file_id,
    ),
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


def past_bodies(state: State, *, limit: int) -> sa.Select[tuple[str]]:
    """The ids of up to `limit` events whose body has been kept for long enough, in the order of an index."""
    table = webhook_event
    rows = sa.select(table.c.id).where(
        in_state(state), table.c.body.is_not(None), table.c.finished_at <= sa.func.now() - BODIES_KEPT[state]
    )
    ordered = rows.order_by(table.c.finished_at).limit(in_plain_sight(limit))
    return ordered.with_for_update(skip_locked=True)


async def let_go_of_bodies(connection: AsyncConnection, state: State, *, limit: int) -> int:
    """Keep the digests of up to `limit` such bodies instead of them; returns how many."""
    table = webhook_event
    # MATERIALIZED, as below.
    past = past_bodies(state, limit=limit).cte("past").prefix_with("MATERIALIZED", dialect="postgresql")
    values: dict[str, Any] = {
        "body": None,
        "body_digest": sa.func.sha256(sa.func.convert_to(table.c.body, "UTF8")),
    }
    if state == "ignored":
        values["order_id"] = None
    changed = await connection.execute(sa.update(table).where(table.c.id == past.c.id).values(**values))
    return changed.rowcount


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
