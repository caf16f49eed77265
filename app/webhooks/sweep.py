"""Finds events whose webhook never came: compares Digital River's list of events with the inbox.

What is missing goes into the same inbox, so a webhook that is lost is a delay and not a loss.
"""

import json
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from app.db.engine import AsyncConnection, AsyncEngine
from app.db.hot_pool import HotPool
from app.digital_river.api.events import EventPage, fetch_events
from app.digital_river.api.pagination import iterate_pages
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.retries import retry
from app.digital_river.errors import DigitalRiverError, Garbled, Throttled, Unavailable
from app.resources import Resources
from app.webhooks import ingest, sweep_log
from app.webhooks.event import InvalidEvent, read_event
from app.webhooks.ingest import NewEvent
from app.webhooks.metrics import SWEEPS, SWEPT_EVENTS
from app.webhooks.sweep_log import EVENT_HISTORY, Sweep, SweepKind, SweepResult, SweepState

LEASE = "sweep"
# A running sweep renews its lease. If its process dies, the lease ends within a minute.
LEASE_SECONDS = 45.0

# Digital River may list an event some minutes after the event's own time, and its clock may differ from ours.
OVERLAP = timedelta(minutes=15)
RETRY_INTERVAL = timedelta(minutes=1)
DAY = timedelta(days=1)
# An event of this age should have come by webhook: Digital River's first retries are over by then.
OVERDUE_AFTER = timedelta(minutes=1)

# A million events of one type. A longer list of 30 days is taken for one that never ends.
MAX_PAGES = 10_000
MAX_ATTEMPTS = 5
MAX_WAIT_SECONDS = 60.0

log = structlog.get_logger()


class SweepBusy(Exception):
    """Another process is sweeping now."""


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """One kind of sweep and how often it runs.

    It looks back at least `lookback`; None means back to the last sweep that succeeded. After a failure, the
    next sweep of this kind starts `retry_interval` after the failed one started.
    """

    kind: SweepKind
    interval: timedelta
    lookback: timedelta | None
    retry_interval: timedelta


def schedule(interval: timedelta) -> tuple[ScheduleEntry, ...]:
    """The scheduled sweeps, the widest first. A failed wide sweep waits long for its next try, because old
    events that cannot be read must not stop the short sweeps."""
    return (
        # The whole list. It finds what no other sweep can see.
        ScheduleEntry("full", interval=DAY, lookback=EVENT_HISTORY, retry_interval=timedelta(hours=1)),
        # Events that Digital River listed later than OVERLAP allows for.
        ScheduleEntry("day", interval=timedelta(hours=1), lookback=DAY, retry_interval=timedelta(minutes=10)),
        # Events whose webhook was lost a moment ago.
        ScheduleEntry("recent", interval=interval, lookback=None, retry_interval=RETRY_INTERVAL),
    )


@dataclass(frozen=True, slots=True)
class DueSweep:
    """A sweep over everything since `since`. `request` is the operator's request that it answers, if any."""

    since: datetime
    kind: SweepKind
    request: Sweep | None = None


def find_due(state: SweepState, interval: timedelta) -> DueSweep | None:
    """The sweep that is due now: the one an operator requested, or the widest that the schedule asks for."""
    if state.request is not None:
        return _plan_sweep(state, state.request.reaches_back_to, state.request)
    if _is_within(RETRY_INTERVAL, state.failed_at, state.now):
        return None
    for entry in schedule(interval):
        if _is_entry_due(entry, state):
            return _plan_sweep(state, None if entry.lookback is None else state.now - entry.lookback)
    return None


def _is_entry_due(entry: ScheduleEntry, state: SweepState) -> bool:
    started, succeeded = state.last_started[entry.kind], state.last_succeeded[entry.kind]
    if _is_within(entry.interval, succeeded, state.now):
        return False
    has_failed = started is not None and (succeeded is None or succeeded < started)
    return not (has_failed and _is_within(entry.retry_interval, started, state.now))


def _plan_sweep(
    state: SweepState, requested_since: datetime | None, request: Sweep | None = None
) -> DueSweep:
    """A sweep since `requested_since`, or since the watermark if that is earlier. So no sweep leaves a gap,
    and every sweep that succeeds may move the watermark."""
    oldest = state.now - EVENT_HISTORY
    unswept_since = oldest if state.watermark is None else max(oldest, state.watermark - OVERLAP)
    since = max(oldest, min(requested_since or unswept_since, unswept_since))
    kind: SweepKind = "recent"
    if since <= state.now - DAY:
        kind = "full" if since == oldest else "day"
    return DueSweep(since, kind, request)


def _is_within(interval: timedelta, moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment < interval


async def sweep_if_due(resources: Resources, types: Collection[str]) -> SweepResult | None:
    """Sweep if a sweep is due and no other process is sweeping; otherwise return None.

    Raises:
        DigitalRiverError, or one of the DATABASE_ERRORS: the sweep failed; a later one tries again.
    """
    interval = timedelta(seconds=resources.settings.sweep_interval)
    async with resources.engine.connect() as connection:
        if find_due(await sweep_log.load_state(connection), interval) is None:
            return None
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as now:
        if now is None:
            return None
        async with resources.engine.begin() as connection:
            await sweep_log.close_abandoned_sweeps(connection)
            # Read again under the lease, because another process may have swept in the meantime.
            due = find_due(await sweep_log.load_state(connection), interval)
            if due is None:
                return None
            sweep_id = await _start_due(connection, due)
        return await _run_sweep(resources, types, now, sweep_id, due.since)


async def sweep_now(resources: Resources, types: Collection[str], lookback: timedelta | None) -> SweepResult:
    """Sweep at once, over `lookback` or, if it is None, since the last sweep that succeeded.

    Raises:
        SweepBusy: another process is sweeping.
        DigitalRiverError, or one of the DATABASE_ERRORS: as `sweep_if_due`.
    """
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as now:
        if now is None:
            raise SweepBusy
        async with resources.engine.begin() as connection:
            await sweep_log.close_abandoned_sweeps(connection)
            state = await sweep_log.load_state(connection)
            # A sweep that was requested over HTTP stays for a worker. This one reports to its own caller.
            due = _plan_sweep(state, None if lookback is None else state.now - lookback)
            sweep_id = await sweep_log.start_sweep(connection, due.since, due.kind, is_requested=True)
        return await _run_sweep(resources, types, now, sweep_id, due.since)


async def _start_due(connection: AsyncConnection, due: DueSweep) -> int:
    if due.request is None:
        return await sweep_log.start_sweep(connection, due.since, due.kind)
    return await sweep_log.start_requested_sweep(connection, due.request, due.since, due.kind)


async def _run_sweep(
    resources: Resources, types: Collection[str], now: datetime, sweep_id: int, since: datetime
) -> SweepResult:
    log.info("sweep.started", sweep=sweep_id, back_to=since.isoformat())
    client = resources.digital_river.background
    result, failure = await _sweep_types(client, resources.hot_pool, types, since, now)
    if failure is not None:
        why = f"{type(failure).__name__}: {failure}"
        # The result counts also after a failure: overdue events mean that the webhook does not work.
        await _finish_sweep(resources.engine, sweep_id, result, why)
        SWEEPS.labels("failed").inc()
        log.error("sweep.failed", sweep=sweep_id, why=why, found=result.found, overdue=result.overdue)
        raise failure
    await _finish_sweep(resources.engine, sweep_id, result, None)
    SWEEPS.labels("done").inc()
    # An overdue event means that the webhook does not work: an operator has to look.
    write = log.error if result.overdue else log.info
    write(
        "sweep.found" if result.found else "sweep.done",
        sweep=sweep_id,
        seen=result.seen,
        found=result.found,
        overdue=result.overdue,
        unreadable=result.unreadable,
    )
    return result


async def _finish_sweep(engine: AsyncEngine, sweep_id: int, result: SweepResult, error: str | None) -> None:
    async with engine.begin() as connection:
        await sweep_log.finish_sweep(connection, sweep_id, result, error)


async def _sweep_types(
    client: DigitalRiverClient, pool: HotPool, types: Collection[str], since: datetime, now: datetime
) -> tuple[SweepResult, DigitalRiverError | None]:
    """Read the list of each type to its end, newest first. Each page is committed to the inbox before the
    next one is requested. Events that happen during the sweep come before the first page, so this sweep does
    not see them; the next one does.

    Returns the result, and the error that ended the sweep early or None.
    """
    result = SweepResult()
    failure: DigitalRiverError | None = None
    for event_type in sorted(types):
        fetch_page = partial(_fetch_page, client, event_type, since)
        try:
            async for page in iterate_pages(fetch_page, list_name="the list of events", max_pages=MAX_PAGES):
                result += await _insert_missing(pool, page.data, types, now)
        except Garbled as error:
            # If the list of one type cannot be read to its end, the lists of the other types still can.
            failure = failure or error
        except DigitalRiverError as error:
            return result, error
    return result, failure


async def _fetch_page(
    client: DigitalRiverClient, event_type: str, since: datetime, after: str | None
) -> EventPage:
    """One page of the list. Retries while Digital River is busy, because otherwise a long sweep would start
    from its first page again and again."""
    fetch = partial(
        fetch_events,
        client,
        event_type=event_type,
        created_from=since,
        starting_after=after,
    )
    return await retry(fetch, pause=_pause)


def _pause(attempts: int, error: DigitalRiverError) -> float | None:
    if attempts == MAX_ATTEMPTS or not isinstance(error, Throttled | Unavailable):
        return None
    seconds = error.retry_after or float(attempts)
    return None if seconds > MAX_WAIT_SECONDS else seconds * random.uniform(1.0, 1.25)  # noqa: S311


async def _insert_missing(
    pool: HotPool, listed: Sequence[Any], types: Collection[str], now: datetime
) -> SweepResult:
    """Insert the events that are not in the inbox. Committed on return."""
    events: list[NewEvent] = []
    unreadable = 0
    for entry in listed:
        try:
            event = read_event(json.dumps(entry).encode(), types)
        except InvalidEvent as error:
            unreadable += 1
            log.error("sweep.unreadable", field=error.field)
            continue
        # The webhook endpoint keeps events without a handler, because they were delivered. A sweep does not.
        if event.state == "pending":
            events.append(event)
    new = await ingest.insert_events(pool, events, "sweep")
    found = [event for event in events if event.id in new]
    overdue = [event for event in found if not _is_within(OVERDUE_AFTER, event.happened_at, now)]
    for event in overdue:
        log.warning("sweep.overdue", event_id=event.id, event_type=event.type, order_id=event.order_id)
    result = SweepResult(len(listed), len(found), len(overdue), unreadable)
    _count_events(result)
    return result


def _count_events(result: SweepResult) -> None:
    SWEPT_EVENTS.labels("overdue").inc(result.overdue)
    SWEPT_EVENTS.labels("young").inc(result.found - result.overdue)
    SWEPT_EVENTS.labels("unreadable").inc(result.unreadable)
    SWEPT_EVENTS.labels("known").inc(result.seen - result.found - result.unreadable)
