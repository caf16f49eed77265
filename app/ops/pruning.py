"""Forgets what nobody needs any more, in small batches. Documents and their file ids stay for ever."""

import asyncio

import structlog

from app.ops import store
from app.resources import Resources

LEASE = "prune"
LEASE_SECONDS = 45.0
BATCH = 1000
# Between batches, so that pruning a large table leaves the disk to others.
PAUSE_SECONDS = 0.1

log = structlog.get_logger()


async def prune_if_free(resources: Resources) -> int:
    """Prune everything that is due, unless another worker is doing it; returns how many rows are gone."""
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            return 0
        return sum([await _prune(resources, what) for what in store.PERISHABLES])


async def _prune(resources: Resources, what: store.Perishable) -> int:
    gone = 0
    while True:
        async with resources.engine.begin() as connection:
            deleted = await store.delete_perished(connection, what, limit=BATCH)
        gone += deleted
        if deleted < BATCH:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    if gone:
        log.info("pruned", what=what.table.name, rows=gone)
    return gone
