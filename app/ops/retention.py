"""Deletes expired rows and bodies of events, in batches. Documents and their file ids are never deleted."""

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
# Between batches, so that pruning a large table does not occupy the disk.
PAUSE_SECONDS = 0.1

# How long the body of a finished event is kept: it may be personal. Its digest is kept as long as the event.
# If a buried event is revived later, the worker fetches it from Digital River again.
BODY_RETENTION: Mapping[State, timedelta] = {
    "done": timedelta(days=7),
    "buried": EVENT_RETENTION,
    # An earlier version kept these bodies.
    "ignored": timedelta(0),
}

log = structlog.get_logger()


async def prune_if_free(engine: AsyncEngine, leases: Leases) -> int:
    """Delete what has expired, unless another worker is doing it; returns how many rows were deleted. Events
    that lose only their body do not count."""
    async with leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            return 0
        deleted = 0
        for rule in RETENTION_RULES:
            delete = partial(retention_store.delete_expired, rule=rule)
            deleted += await _in_batches(engine, rule.table.name, delete)
        for state, retention in BODY_RETENTION.items():
            delete = partial(inbox.delete_bodies, state=state, retention=retention)
            await _in_batches(engine, f"bodies of {state} events", delete)
        return deleted


async def _in_batches(engine: AsyncEngine, what: str, run_batch: Callable[..., Awaitable[int]]) -> int:
    """Run batches, each in its own transaction, until one is not full; returns how many rows they changed."""
    rows = 0
    while True:
        async with engine.begin() as connection:
            batch = await run_batch(connection, limit=BATCH_SIZE)
        rows += batch
        if batch < BATCH_SIZE:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    if rows:
        log.info("pruned", what=what, rows=rows)
    return rows
