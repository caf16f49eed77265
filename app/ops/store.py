"""The queries of operators about events. The statements that change an event are in `webhooks/inbox`."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.ids import EventId
from app.webhooks.inbox import State, in_state, webhook_event

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
    filters = ((table.c.id, event_id), (table.c.type, event_type), (table.c.order_id, order_id))
    for column, value in filters:
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(sa.tuple_(table.c.received_at, table.c.id) < sa.tuple_(*after))
    return (await connection.execute(statement)).mappings().all()


async def find_event(connection: AsyncConnection, event_id: EventId) -> sa.RowMapping | None:
    """One event with the error of each attempt, and whether its body is still stored."""
    table = webhook_event
    has_body = table.c.body.is_not(None).label("has_body")
    digest = sa.func.encode(table.c.body_digest, "hex").label("body_digest")
    statement = sa.select(*_SUMMARY, has_body, digest, table.c.errors).where(table.c.id == event_id)
    return (await connection.execute(statement)).mappings().first()
