"""Deletes what is no longer needed, in small batches. Documents and their file ids stay for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial

import structlog

from app.db.engine import AsyncEngine
from app.db.leases import Leases
from app.ops import retention_store
from app.ops.retention_store import EVENT_RETENTION, RETENTION_RULES
from app.webhooks import inbox
from app.webhooks.inbox import State

LEASE = "prune"
LEASE_SECONDS = 45.0
BATCH_SIZE = 1000
# Between batches, so that a large table leaves the disk to others.
PAUSE_SECONDS = 0.1

# For how long after an event is finished its body stays, which may be personal; its digest stays as long as
# the event does. A buried one that is revived later is read again at Digital River.
BODY_RETENTION: Mapping[State, timedelta] = {
    "done": timedelta(days=7),
    "buried": EVENT_RETENTION,
    # An earlier version has kept these.
    "ignored": timedelta(0),
}

log = structlog.get_logger()


async def prune_if_free(engine: AsyncEngine, leases: Leases) -> int:
    """Delete everything that has expired, unless another worker is doing it; returns how many rows are gone.
    Events that lose their body alone are not among them."""
    async with leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            return 0
        gone = 0
        for rule in RETENTION_RULES:
            delete = partial(retention_store.delete_expired, rule=rule)
            gone += await _in_batches(engine, rule.table.name, delete)
        for state, retention in BODY_RETENTION.items():
            drop = partial(inbox.delete_bodies, state=state, retention=retention)
            await _in_batches(engine, f"bodies of {state} events", drop)
        return gone


async def _in_batches(engine: AsyncEngine, what: str, do: Callable[..., Awaitable[int]]) -> int:
    """Do it until a batch finds less than it may take; returns how many rows it found."""
    rows = 0
    while True:
        async with engine.begin() as connection:
            batch = await do(connection, limit=BATCH_SIZE)
        rows += batch
        if batch < BATCH_SIZE:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    if rows:
        log.info("pruned", what=what, rows=rows)
    return rows
