"""The statements with which an operator revives events that are stuck."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.schema import inlined
from app.ids import EventId
from app.webhooks.inbox import CHANNEL, in_state, webhook_event
from app.webhooks.sweep_log import EVENT_HISTORY

_IS_BURIED = in_state("buried")
# May include an event that a worker has claimed: its work is then done twice, and the first worker's is lost.
_AWAITS_RETRY = sa.and_(
    in_state("pending"), webhook_event.c.reason.is_not(None), webhook_event.c.due_at > sa.func.now()
)


def _was_ignored_but_is_handled(handled_types: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether the type of the event had no handler when it arrived, and has one now."""
    return sa.and_(in_state("ignored"), webhook_event.c.type == sa.any_(_text_array(handled_types)))


def _text_array(texts: Collection[str]) -> sa.ColumnElement[Any]:
    return sa.cast([*texts], sa.ARRAY(sa.Text))


async def revive(
    connection: AsyncConnection, event_ids: Sequence[EventId], handled_types: Collection[str]
) -> set[EventId]:
    """Make these events due now if they are stuck: buried, ignored although their type has a handler now, or
    waiting after a failure (these keep their count of attempts). Returns the ids of the stuck ones."""
    table = webhook_event
    statement = (
        sa.update(table)
        .where(
            table.c.id == sa.any_(_text_array(event_ids)),
            sa.or_(_IS_BURIED, _AWAITS_RETRY, _was_ignored_but_is_handled(handled_types)),
        )
        .values(
            state="pending",
            due_at=sa.func.now(),
            attempts=sa.case((_AWAITS_RETRY, table.c.attempts), else_=0),
            reason=sa.case((_AWAITS_RETRY, table.c.reason), else_=None),
            finished_at=None,
        )
        .returning(table.c.id)
    )
    revived = {EventId(event_id) for event_id in (await connection.execute(statement)).scalars()}
    if revived:
        await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return revived


async def revive_all(
    connection: AsyncConnection, event_type: str | None, handled_types: Collection[str], *, limit: int
) -> set[EventId]:
    """Revive up to `limit` stuck events, the buried ones first; returns their ids. Ignored events are
    included only if `event_type` names their type."""
    table = webhook_event
    found: list[EventId] = []
    # One query for each kind, because each can use an index.
    stuck = [(_IS_BURIED, table.c.received_at), (_AWAITS_RETRY, table.c.due_at)]
    if event_type in handled_types:
        # Older ones have no body, and Digital River no longer lists them.
        is_readable = table.c.received_at > sa.func.now() - EVENT_HISTORY
        stuck.append((sa.and_(in_state("ignored"), is_readable), table.c.received_at))
    for is_stuck, order in stuck:
        statement = sa.select(table.c.id).where(is_stuck).order_by(order)
        if event_type is not None:
            statement = statement.where(table.c.type == event_type)
        chosen = await connection.execute(statement.limit(inlined(limit - len(found))))
        found += map(EventId, chosen.scalars())
    return await revive(connection, found, handled_types)
