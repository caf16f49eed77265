"""What the worker does by the clock. Sweeping and pruning are done by one worker at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial

import structlog

from app.db.outages import is_outage
from app.digital_river.errors import DigitalRiverError
from app.ops import metrics
from app.ops.pruning import prune_if_free
from app.resources import Resources
from app.tax.identifiers import finish_replacements
from app.webhooks.sweep import sweep_if_due

# So soon a worker begins with a sweep that an operator asked for, and tries again what failed.
LOOK_SECONDS = 2.0
PRUNE_SECONDS = 3600.0
# Meanwhile a buyer may have no tax identifier.
FINISH_SECONDS = 5.0
# The API collects when it is asked; the worker's own port only shows what was collected last.
COLLECT_SECONDS = 15.0

log = structlog.get_logger()


async def run(resources: Resources, types: Collection[str], stop: asyncio.Event) -> None:
    """Do the chores until `stop` is set; what is under way then is broken off, and due again."""
    in_background = replace(resources, far=resources.far.background)
    chores = (
        asyncio.create_task(_every(COLLECT_SECONDS, "metrics", partial(metrics.collect, resources))),
        asyncio.create_task(_every(LOOK_SECONDS, "sweep", partial(sweep_if_due, resources, types))),
        asyncio.create_task(_every(PRUNE_SECONDS, "prune", partial(prune_if_free, resources))),
        asyncio.create_task(_every(FINISH_SECONDS, "finish", partial(finish_replacements, in_background))),
    )
    await stop.wait()
    for chore in chores:
        chore.cancel()
    await asyncio.gather(*chores, return_exceptions=True)


async def _every(seconds: float, name: str, chore: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await chore()
        except Exception as error:
            # No failure of a chore may end it for good; one that nobody foresaw comes with its trace.
            is_foreseen = isinstance(error, DigitalRiverError) or is_outage(error)
            trace = None if is_foreseen else error
            log.warning("chore.failed", chore=name, error=type(error).__name__, exc_info=trace)
        await asyncio.sleep(seconds)
