"""The inbox as text for `portal events`: the same answers as /ops, read from PostgreSQL without the API."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from app.db.engine import AsyncEngine
from app.ids import EventId
from app.ops import store
from app.webhooks import revival
from app.webhooks.inbox import State

REASON_WIDTH = 60
REVIVE_BATCH_SIZE = 500
_COLUMNS = {
    "received_at": "RECEIVED",
    "id": "ID",
    "type": "TYPE",
    "state": "STATE",
    "origin": "ORIGIN",
    "attempts": "ATTEMPTS",
    "order_id": "ORDER",
    "reason": "REASON",
}


async def list_events(
    engine: AsyncEngine, *, state: State | None, event_type: str | None, order_id: str | None, limit: int
) -> str:
    """A table of events, the last received first."""
    async with engine.connect() as connection:
        rows = await store.list_events(
            connection, state=state, event_type=event_type, order_id=order_id, after=None, limit=limit
        )
    if not rows:
        return "No such events."
    return _format_table([{**row, "reason": _truncate(row["reason"])} for row in rows])


async def show_event(engine: AsyncEngine, event_id: EventId) -> str | None:
    """One event and its failed attempts, a line each; None if there is no such event."""
    async with engine.connect() as connection:
        row = await store.find_event(connection, event_id)
    if row is None:
        return None
    columns = {name: value for name, value in row.items() if name != "errors"}
    width = max(map(len, columns))
    lines = [f"{name.replace('_', ' '):{width}}  {_format(value)}" for name, value in columns.items()]
    lines += [f"attempt {error['attempt']} at {error['at']}: {error['error']}" for error in row["errors"]]
    return "\n".join(lines)


async def revive(
    engine: AsyncEngine, event_ids: Sequence[EventId], handled_types: Collection[str]
) -> Sequence[EventId]:
    """Revive these events; returns the ids that are not stuck or not known."""
    async with engine.begin() as connection:
        revived = await revival.revive(connection, event_ids, handled_types)
    return [event_id for event_id in event_ids if event_id not in revived]


async def revive_all(engine: AsyncEngine, event_type: str | None, handled_types: Collection[str]) -> int:
    """Revive all stuck events, in batches; returns how many."""
    count = 0
    while True:
        async with engine.begin() as connection:
            revived = await revival.revive_all(connection, event_type, handled_types, limit=REVIVE_BATCH_SIZE)
        count += len(revived)
        if len(revived) < REVIVE_BATCH_SIZE:
            return count


def _format_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [tuple(_COLUMNS.values()), *(tuple(_format(row[name]) for name in _COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _format(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return "-" if value is None else str(value)


def _truncate(reason: str | None) -> str | None:
    if reason is None or len(reason) <= REASON_WIDTH:
        return reason
    return reason[: REASON_WIDTH - 1] + "…"
