"""What an operator asks of the inbox: statements over events, whatever their state."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.ids import EventId
from app.webhooks.inbox import CHANNEL, State, webhook_event

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
    wanted = ((table.c.state, state), (table.c.type, event_type), (table.c.order_id, order_id))
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


async def revive(connection: AsyncConnection, event_id: EventId) -> bool:
    """Let a buried event be handled again, with all its attempts; False when it is not buried."""
    statement = (
        sa.update(webhook_event)
        .where(webhook_event.c.id == event_id, webhook_event.c.state == "buried")
        .values(state="pending", due_at=sa.func.now(), attempts=0, finished_at=None, reason=None)
        .returning(webhook_event.c.id)
    )
    if (await connection.execute(statement)).first() is None:
        return False
    await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return True


async def count_events(connection: AsyncConnection, state: State) -> int:
    """How many events are in a state."""
    # The state stands in the statement as text, so that the partial index of that state serves.
    is_in_state = webhook_event.c.state == sa.literal_column(f"'{state}'")
    statement = sa.select(sa.func.count()).select_from(webhook_event).where(is_in_state)
    return (await connection.execute(statement)).scalar_one()


async def find_oldest_open_age(connection: AsyncConnection) -> timedelta | None:
    """How long the oldest open event has been waiting; None when none is open."""
    age = sa.type_coerce(sa.func.now() - sa.func.min(webhook_event.c.received_at), sa.Interval)
    statement = sa.select(age).where(webhook_event.c.state == sa.literal_column("'pending'"))
    return (await connection.execute(statement)).scalar()
