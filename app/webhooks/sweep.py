"""Asks Digital River for events that never arrived, and puts them into the same inbox."""

import asyncio
import json
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.digital_river.errors import DigitalRiverError, Throttled, Unavailable
from app.digital_river.events import MOST_TYPES, EventPage, fetch_events
from app.resources import Resources
from app.webhooks import inbox, store
from app.webhooks.event import NotAnEvent, read_event
from app.webhooks.inbox import NewEvent
from app.webhooks.metrics import SWEEPS, SWEPT_EVENTS
from app.webhooks.store import REACH, Finds, Memory, Sweep

LEASE = "sweep"
# A dead sweeper's lease runs out within a minute; a living one keeps it.
LEASE_SECONDS = 45.0

# The far side may list an event later than it dates it, and its clock is not ours.
OVERLAP = timedelta(minutes=15)
FULL_INTERVAL = timedelta(days=1)
RETRY_INTERVAL = timedelta(minutes=1)
# Apart from the short ones, which must not starve when something old cannot be read.
FULL_RETRY_INTERVAL = timedelta(hours=1)
# An event this old should have come by webhook: Digital River's first retries are over by then.
OVERDUE = timedelta(minutes=1)

TRIES = 5
LONGEST_WAIT = 60.0

log = structlog.get_logger()


class SweepBusy(Exception):
    """Another process is sweeping just now."""


@dataclass(frozen=True, slots=True)
class Due:
    """A sweep over everything since `back_to`; `waiting` is the operator's request it answers, if any."""

    back_to: datetime
    waiting: Sweep | None = None


def find_due(memory: Memory, interval: timedelta) -> Due | None:
    """The sweep that is due now: an operator's, the daily one, or the one of every `interval`."""
    furthest = memory.now - REACH
    since = furthest if memory.watermark is None else max(furthest, memory.watermark - OVERLAP)
    if memory.waiting is not None:
        wish = memory.waiting.reaches_back_to or since
        # Never less than what nobody has looked at, so that every sweep may move the watermark.
        return Due(max(furthest, min(wish, since)), memory.waiting)
    if not _within(RETRY_INTERVAL, memory.failed_at, memory.now):
        is_full_due = not _within(FULL_INTERVAL, memory.full_done_at, memory.now)
        if is_full_due and not _within(FULL_RETRY_INTERVAL, memory.full_tried_at, memory.now):
            return Due(furthest)
        if not _within(interval, memory.watermark, memory.now):
            return Due(since)
    return None


def _within(interval: timedelta, moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment < interval


async def sweep_if_due(resources: Resources, types: Collection[str]) -> Finds | None:
    """Sweep when it is time and nobody else does; None when there was nothing to do.

    Raises:
        DigitalRiverError, or one of the database's FAILURES: it failed, and will be tried again.
    """
    interval = timedelta(seconds=resources.settings.sweep_interval)
    async with resources.engine.connect() as connection:
        if find_due(await store.recall(connection), interval) is None:
            return None
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            return None
        async with resources.engine.begin() as connection:
            await store.clear_up(connection)
            # Looked at again, because another process may have done it meanwhile.
            due = await _start_due(connection, interval)
        return await _run(resources, types, held, *due) if due else None


async def sweep_now(resources: Resources, types: Collection[str], reach: timedelta | None) -> Finds:
    """Sweep at once, over `reach` or, without it, since the last sweep.

    Raises:
        SweepBusy: another process is sweeping.
        DigitalRiverError, or one of the database's `FAILURES`: as `sweep_if_due`.
    """
    async with resources.leases.hold_if_free(LEASE, seconds=LEASE_SECONDS) as held:
        if held is None:
            raise SweepBusy
        async with resources.engine.begin() as connection:
            await store.clear_up(connection)
            await store.request(connection, reach)
            due = await _start_due(connection, timedelta(0))
        # What has just been requested is due.
        return await _run(resources, types, held, *due) if due else Finds()


async def _start_due(connection: AsyncConnection, interval: timedelta) -> tuple[int, datetime] | None:
    """Begin what is due, in the hands of whoever holds the lease: its id, and how far back it looks."""
    due = find_due(await store.recall(connection), interval)
    if due is None:
        return None
    return await store.start(connection, due.back_to, due.waiting), due.back_to


async def _run(
    resources: Resources, types: Collection[str], now: datetime, sweep_id: int, back_to: datetime
) -> Finds:
    log.info("sweep.started", sweep=sweep_id, back_to=back_to.isoformat())
    try:
        finds = await _pull(resources, types, back_to, now)
    except DigitalRiverError as error:
        SWEEPS.labels("failed").inc()
        log.error("sweep.failed", sweep=sweep_id, error=type(error).__name__, why=str(error))
        await _finish(resources, sweep_id, Finds(), f"{type(error).__name__}: {error}")
        raise
    await _finish(resources, sweep_id, finds, None)
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


async def _finish(resources: Resources, sweep_id: int, finds: Finds, error: str | None) -> None:
    async with resources.engine.begin() as connection:
        await store.finish(connection, sweep_id, finds, error)


async def _pull(resources: Resources, types: Collection[str], back_to: datetime, now: datetime) -> Finds:
    """Read the list to its end, newest first, keeping each page before the next is asked for. What happens
    meanwhile stands before the first page: cursors go down from there, and the next sweep looks at it."""
    finds = Finds()
    for group in _groups(sorted(types)):
        after: str | None = None
        while True:
            page = await _fetch_patiently(resources, group, back_to, after)
            finds += await _keep(resources, page.data, types, now)
            after = page.next_after
            if after is None:
                break
    return finds


def _groups(types: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(types), MOST_TYPES):
        yield types[start : start + MOST_TYPES]


async def _fetch_patiently(
    resources: Resources, types: Sequence[str], back_to: datetime, after: str | None
) -> EventPage:
    """One page. A busy far side is waited for, or a long sweep would begin again and again."""
    far = resources.far.background
    attempt = 1
    while True:
        try:
            return await fetch_events(far, types=types, created_from=back_to, starting_after=after)
        except (Throttled, Unavailable) as error:
            wait = error.retry_after or float(attempt)
            if attempt == TRIES or wait > LONGEST_WAIT:
                raise
            attempt += 1
            await asyncio.sleep(wait * random.uniform(1.0, 1.25))  # noqa: S311


async def _keep(resources: Resources, listed: Sequence[Any], types: Collection[str], now: datetime) -> Finds:
    """Put into the inbox what is not there. Committed on return."""
    events: list[NewEvent] = []
    unreadable = 0
    for entry in listed:
        try:
            event = read_event(json.dumps(entry).encode(), types)
        except NotAnEvent as error:
            unreadable += 1
            log.error("sweep.unreadable", field=error.field)
            continue
        # The letter box keeps what nobody handles, because it was delivered; here nobody asked for it.
        if event.state == "pending":
            events.append(event)
    new = await inbox.put(resources.hot, events, "sweep")
    found = [event for event in events if event.id in new]
    overdue = [event for event in found if not _within(OVERDUE, event.happened_at, now)]
    for event in overdue:
        log.warning("sweep.overdue", event_id=event.id, event_type=event.type, order_id=event.order_id)
    finds = Finds(len(listed), len(found), len(overdue), unreadable)
    _count(finds)
    return finds


def _count(finds: Finds) -> None:
    SWEPT_EVENTS.labels("overdue").inc(finds.overdue)
    SWEPT_EVENTS.labels("young").inc(finds.found - finds.overdue)
    SWEPT_EVENTS.labels("unreadable").inc(finds.unreadable)
    SWEPT_EVENTS.labels("known").inc(finds.seen - finds.found - finds.unreadable)
