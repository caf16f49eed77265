"""Forgets what nobody needs any more, in small batches. Documents and their file ids stay for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

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
    """Prune everything that is due, unless another worker is doing it; returns how many rows are gone.
    Events whose body alone is let go are not among them."""
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            return 0
        gone = 0
        for what in store.PERISHABLES:
            delete = partial(store.delete_perished, what=what)
            gone += await _in_batches(resources, what.table.name, delete)
        for state in store.BODIES_KEPT:
            let_go = partial(store.let_go_of_bodies, state=state)
            await _in_batches(resources, f"bodies of {state} events", let_go)
        return gone


async def _in_batches(resources: Resources, what: str, do: Callable[..., Awaitable[int]]) -> int:
    """Do it until a batch finds less than it may take; returns how many rows it found."""
    rows = 0
    while True:
        async with resources.engine.begin() as connection:
            batch = await do(connection, limit=BATCH)
        rows += batch
        if batch < BATCH:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    if rows:
        log.info("pruned", what=what, rows=rows)
    return rows
