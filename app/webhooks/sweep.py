"""Asks Digital River for events that never arrived, and puts them into the same inbox."""

import json
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from app.db.engine import AsyncConnection, AsyncEngine, Pool
from app.digital_river.api.events import EventPage, fetch_events
from app.digital_river.api.pagination import each_page
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
# A dead sweeper's lease runs out within a minute; a living one keeps it.
LEASE_SECONDS = 45.0

# The far side may list an event later than it dates it, and its clock is not ours.
OVERLAP = timedelta(minutes=15)
RETRY_INTERVAL = timedelta(minutes=1)
DAY = timedelta(days=1)
# An event this old should have come by webhook: Digital River's first retries are over by then.
OVERDUE_AFTER = timedelta(minutes=1)

# A million events of one type: more within thirty days is a list without end.
MAX_PAGES = 10_000
MAX_TRIES = 5
MAX_WAIT_SECONDS = 60.0

log = structlog.get_logger()


class SweepBusy(Exception):
    """Another process is sweeping just now."""


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """One line of the schedule. `back` is how far its sweep looks, at least; without it, since the last one
    that went well. `retry` is the time from one that failed to the next of its kind."""

    kind: SweepKind
    every: timedelta
    back: timedelta | None
    retry: timedelta


def schedule(interval: timedelta) -> tuple[ScheduleEntry, ...]:
    """What is swept by the clock, the widest first. Wide ones are tried again late, because the short ones
    must not starve when something old cannot be read."""
    return (
        # The list as far as it goes: what no other sweep could see.
        ScheduleEntry("full", every=DAY, back=EVENT_HISTORY, retry=timedelta(hours=1)),
        # What the far side listed later than OVERLAP allows for.
        ScheduleEntry("day", every=timedelta(hours=1), back=DAY, retry=timedelta(minutes=10)),
        # What the webhook has just lost.
        ScheduleEntry("recent", every=interval, back=None, retry=RETRY_INTERVAL),
    )


@dataclass(frozen=True, slots=True)
class DueSweep:
    """A sweep over everything since `back_to`; `waiting` is the operator's request it answers, if any."""

    back_to: datetime
    kind: SweepKind
    waiting: Sweep | None = None


def find_due(state: SweepState, interval: timedelta) -> DueSweep | None:
    """The sweep that is due now: an operator's, or the widest of the schedule."""
    if state.waiting is not None:
        return _plan_sweep(state, state.waiting.reaches_back_to, state.waiting)
    if _is_within(RETRY_INTERVAL, state.failed_at, state.now):
        return None
    for rhythm in schedule(interval):
        if not _rests(rhythm, state):
            return _plan_sweep(state, None if rhythm.back is None else state.now - rhythm.back)
    return None


def _rests(rhythm: ScheduleEntry, state: SweepState) -> bool:
    tried, done = state.tried[rhythm.kind], state.done[rhythm.kind]
    has_failed = tried is not None and (done is None or done < tried)
    return _is_within(rhythm.every, done, state.now) or (
        has_failed and _is_within(rhythm.retry, tried, state.now)
    )


def _plan_sweep(state: SweepState, wish: datetime | None, waiting: Sweep | None = None) -> DueSweep:
    """Never less than what no sweep has looked at, so that every sweep may move the watermark."""
    furthest = state.now - EVENT_HISTORY
    since = furthest if state.watermark is None else max(furthest, state.watermark - OVERLAP)
    back_to = max(furthest, min(wish or since, since))
    kind: SweepKind = "recent"
    if back_to <= state.now - DAY:
        kind = "full" if back_to == furthest else "day"
    return DueSweep(back_to, kind, waiting)


def _is_within(interval: timedelta, moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment < interval


async def sweep_if_due(resources: Resources, types: Collection[str]) -> SweepResult | None:
    """Sweep if it is time and no other process sweeps; None when there was nothing to do.

    Raises:
        DigitalRiverError, or one of the database's FAILURES: it failed, and will be tried again.
    """
    interval = timedelta(seconds=resources.settings.sweep_interval)
    async with resources.engine.connect() as connection:
        if find_due(await sweep_log.load_state(connection), interval) is None:
            return None
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            return None
        async with resources.engine.begin() as connection:
            await sweep_log.close_abandoned_sweeps(connection)
            # Looked at again, because another process may have done it meanwhile.
            due = await _start_due(connection, interval)
        return await _run_sweep(resources, types, held, *due) if due else None


async def sweep_now(resources: Resources, types: Collection[str], reach: timedelta | None) -> SweepResult:
    """Sweep at once, over `reach` or, without it, since the last sweep.

    Raises:
        SweepBusy: another process is sweeping.
        DigitalRiverError, or one of the database's `FAILURES`: as `sweep_if_due`.
    """
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            raise SweepBusy
        async with resources.engine.begin() as connection:
            await sweep_log.close_abandoned_sweeps(connection)
            state = await sweep_log.load_state(connection)
            # What an operator asked for over HTTP stays for a worker: this sweep is reported to its caller.
            due = _plan_sweep(state, None if reach is None else state.now - reach)
            sweep_id = await sweep_log.start_sweep(connection, due.back_to, due.kind, is_requested=True)
        return await _run_sweep(resources, types, held, sweep_id, due.back_to)


async def _start_due(connection: AsyncConnection, interval: timedelta) -> tuple[int, datetime] | None:
    """Begin what is due, as the holder of the lease: its id, and how far back it looks."""
    due = find_due(await sweep_log.load_state(connection), interval)
    if due is None:
        return None
    if due.waiting is None:
        return await sweep_log.start_sweep(connection, due.back_to, due.kind), due.back_to
    return await sweep_log.start_requested_sweep(connection, due.waiting, due.back_to, due.kind), due.back_to


async def _run_sweep(
    resources: Resources, types: Collection[str], now: datetime, sweep_id: int, back_to: datetime
) -> SweepResult:
    log.info("sweep.started", sweep=sweep_id, back_to=back_to.isoformat())
    finds, failure = await _sweep_all_types(resources, types, back_to, now)
    if failure is not None:
        why = f"{type(failure).__name__}: {failure}"
        # With what was found before it failed: overdue events tell of a dead webhook all the same.
        await _record_result(resources.engine, sweep_id, finds, why)
        SWEEPS.labels("failed").inc()
        log.error("sweep.failed", sweep=sweep_id, why=why, found=finds.found, overdue=finds.overdue)
        raise failure
    await _record_result(resources.engine, sweep_id, finds, None)
    SWEEPS.labels("done").inc()
    # An overdue event means that the webhook does not work: an operator has to look.
    write = log.error if finds.overdue else log.info
    write(
        "sweep.found" if finds.found else "sweep.done",
        sweep=sweep_id,
        seen=finds.seen,
        found=finds.found,
        overdue=finds.overdue,
        unreadable=finds.unreadable,
    )
    return finds


async def _record_result(engine: AsyncEngine, sweep_id: int, finds: SweepResult, error: str | None) -> None:
    async with engine.begin() as connection:
        await sweep_log.finish_sweep(connection, sweep_id, finds, error)


async def _sweep_all_types(
    resources: Resources, types: Collection[str], back_to: datetime, now: datetime
) -> tuple[SweepResult, DigitalRiverError | None]:
    """Read the list to its end, newest first, keeping each page before the next is asked for. What happens
    meanwhile stands before the first page: cursors go down from there, and the next sweep looks at it.

    Returns what was found, and why that may not be all."""
    finds = SweepResult()
    failure: DigitalRiverError | None = None
    for event_type in sorted(types):
        fetch_page = partial(_fetch_page, resources.digital_river.background, event_type, back_to)
        try:
            async for page in each_page(fetch_page, of="the list of events", most=MAX_PAGES):
                finds += await _insert_missing(resources.hot_pool, page.data, types, now)
        except Garbled as error:
            # A list that cannot be read to its end must not hide those of other types.
            failure = failure or error
        except DigitalRiverError as error:
            return finds, error
    return finds, failure


async def _fetch_page(
    client: DigitalRiverClient, event_type: str, back_to: datetime, after: str | None
) -> EventPage:
    """One page. A busy far side is waited for, or a long sweep would begin again and again."""
    fetch = partial(
        fetch_events,
        client,
        event_type=event_type,
        created_from=back_to,
        starting_after=after,
    )
    return await retry(fetch, pause=_pause)


def _pause(attempts: int, error: DigitalRiverError) -> float | None:
    if attempts == MAX_TRIES or not isinstance(error, Throttled | Unavailable):
        return None
    seconds = error.retry_after or float(attempts)
    return None if seconds > MAX_WAIT_SECONDS else seconds * random.uniform(1.0, 1.25)  # noqa: S311


async def _insert_missing(
    pool: Pool, listed: Sequence[Any], types: Collection[str], now: datetime
) -> SweepResult:
    """Put into the inbox what is not there. Committed on return."""
    events: list[NewEvent] = []
    unreadable = 0
    for entry in listed:
        try:
            event = read_event(json.dumps(entry).encode(), types)
        except InvalidEvent as error:
            unreadable += 1
            log.error("sweep.unreadable", field=error.field)
            continue
        # The endpoint keeps events without a handler, because they were delivered. A sweep leaves them out.
        if event.state == "pending":
            events.append(event)
    new = await ingest.insert_events(pool, events, "sweep")
    found = [event for event in events if event.id in new]
    overdue = [event for event in found if not _is_within(OVERDUE_AFTER, event.happened_at, now)]
    for event in overdue:
        log.warning("sweep.overdue", event_id=event.id, event_type=event.type, order_id=event.order_id)
    finds = SweepResult(len(listed), len(found), len(overdue), unreadable)
    _count_events(finds)
    return finds


def _count_events(finds: SweepResult) -> None:
    SWEPT_EVENTS.labels("overdue").inc(finds.overdue)
    SWEPT_EVENTS.labels("young").inc(finds.found - finds.overdue)
    SWEPT_EVENTS.labels("unreadable").inc(finds.unreadable)
    SWEPT_EVENTS.labels("known").inc(finds.seen - finds.found - finds.unreadable)
