"""The jobs that every worker runs on a schedule. Leases let only one worker at a time sweep or prune."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial

import structlog

from app.db.errors import is_outage
from app.digital_river.errors import DigitalRiverError
from app.ops import metrics
from app.ops.retention import prune_if_free
from app.resources import Resources
from app.tax.identifiers import finish_replacements
from app.webhooks.sweep import sweep_if_due

# How soon a worker starts a sweep that an operator requested.
SWEEP_CHECK_SECONDS = 2.0
PRUNE_SECONDS = 3600.0
# Short, because until a replacement is finished the buyer may have no tax identifier.
FINISH_REPLACEMENTS_SECONDS = 5.0
# The API updates its gauges on each request. The worker's metrics port cannot, so this job does.
UPDATE_GAUGES_SECONDS = 15.0

log = structlog.get_logger()


async def run_scheduled_jobs(resources: Resources, types: Collection[str], stop: asyncio.Event) -> None:
    """Run the jobs until `stop` is set. A job that runs then is cancelled; the next worker repeats it."""
    background_resources = replace(resources, digital_river=resources.digital_river.background)
    update_gauges = partial(metrics.update_gauges, resources.engine, resources.digital_river)
    prune = partial(prune_if_free, resources.engine, resources.leases)
    jobs = (
        asyncio.create_task(_run_every(UPDATE_GAUGES_SECONDS, "metrics", update_gauges)),
        asyncio.create_task(
            _run_every(SWEEP_CHECK_SECONDS, "sweep", partial(sweep_if_due, resources, types))
        ),
        asyncio.create_task(_run_every(PRUNE_SECONDS, "prune", prune)),
        asyncio.create_task(
            _run_every(
                FINISH_REPLACEMENTS_SECONDS, "finish", partial(finish_replacements, background_resources)
            )
        ),
    )
    await stop.wait()
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


async def _run_every(seconds: float, name: str, job: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await job()
        except Exception as error:
            # No failure may end a job for good. An unexpected one is logged with its traceback.
            is_expected = isinstance(error, DigitalRiverError) or is_outage(error)
            trace = None if is_expected else error
            log.warning("scheduled_job.failed", job=name, error=type(error).__name__, exc_info=trace)
        await asyncio.sleep(seconds)
