"""Claims due events from the inbox and handles them, outside any HTTP request: it may take minutes."""

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from datetime import timedelta
from typing import Any

import structlog

from app.db.batches import Batcher
from app.db.errors import DATABASE_ERRORS
from app.db.notifications import listen
from app.digital_river.api.events import fetch_event
from app.digital_river.client.budget import BACKGROUND_SHARE
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import Garbled, Missing, Refused
from app.digital_river.models.tolerant_json import read_leniently
from app.documents.intake import Effect, UnprocessableEvent
from app.ops import metrics
from app.resources import Resources, open_resources
from app.settings import Settings
from app.webhooks import inbox
from app.webhooks.inbox import Claim, LeaseLost
from app.webhooks.metrics import EVENT_AGE_SECONDS, HANDLED, HANDLING_SECONDS
from app.worker import scheduled_jobs
from app.worker.handlers import HANDLERS
from app.worker.retry_policy import (
    MAX_ATTEMPTS,
    Bury,
    Decision,
    Postpone,
    Retry,
    decide,
    describe,
    is_expected,
)

# Notifications may be lost, so the worker also polls.
POLL_SECONDS = 5.0
RETRY_SECONDS = 1.0
# A handler is cancelled before its lease ends, so that two workers do not handle the same event.
LEASE_SHARE = 0.8
# A file, its live links and a new link.
CALLS_PER_EVENT = 3
# Three quarters are for background calls. With a live key these are at most 125 a second, so there are enough
# while an answer takes a second. If answers take much longer, `NoConnectionFree` postpones events.
CONNECTIONS = 200
# How many attempts may end without an error, as when the worker is killed, before an event is handled alone.
MAX_UNEXPLAINED = 3
# With a backlog, the worker claims anew when this share of its events has ended.
CLAIM_SHARE = 1 / 4
# From one transaction that settles events to the next. It has six statements, however many events it settles.
SETTLE_SECONDS = 0.05

log = structlog.get_logger()


def most_events_at_once(settings: Settings) -> int:
    """How many events one worker handles at the same time: as many as the budget serves within a quarter of
    the time that each of them has. More of them would only wait in its queue, and time out there."""
    events_per_second = settings.requests_per_second * BACKGROUND_SHARE / CALLS_PER_EVENT
    served = int(events_per_second * settings.worker_lease * LEASE_SHARE / 4)
    return max(1, min(served, settings.worker_concurrency))


class Worker:
    """Claims due events and handles several at once, until `stop` is set."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._engine = resources.engine
        self._lease = resources.settings.worker_lease
        self._most = most_events_at_once(resources.settings)
        self._tasks: set[asyncio.Task[None]] = set()
        self._settlements = Batcher(self._settle, interval=SETTLE_SECONDS)
        # Set when there may be something to do: by a notification, by an ended task, or by `stop`.
        self._wake: asyncio.Event
        self._may_have_backlog = False
        self._suspects = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Handle events until `stop` is set; then finish the claimed ones, or postpone them."""
        url = self._resources.settings.database_url.get_secret_value()
        async with listen(url, inbox.CHANNEL) as self._wake:
            stopping = asyncio.create_task(stop.wait())
            stopping.add_done_callback(lambda _: self._wake.set())
            log.info("worker.started", handles=sorted(HANDLERS))
            try:
                while not stop.is_set():
                    self._wake.clear()
                    wait = await self._start_due()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await self._wake.wait()
            finally:
                stopping.cancel()
            await self._finish_or_postpone()
        log.info("worker.stopped")

    async def _start_due(self) -> float:
        """Claim and start as many events as may run now; returns the seconds to wait before the next try."""
        free = self._most - len(self._tasks)
        if free <= 0:
            return POLL_SECONDS
        try:
            async with self._engine.begin() as connection:
                claims = await inbox.claim_events(connection, limit=free, lease=self._lease)
            # In any order, so that of the events that are handled alone not always the same come first.
            random.shuffle(claims)
            for claim in claims:
                task = asyncio.create_task(self._handle(claim))
                self._tasks.add(task)
                task.add_done_callback(self._end)
            self._may_have_backlog = len(claims) == free
            if self._may_have_backlog:
                return POLL_SECONDS
            async with self._engine.connect() as connection:
                wait = await inbox.find_seconds_until_due(connection)
            return POLL_SECONDS if wait is None else min(wait, POLL_SECONDS)
        except DATABASE_ERRORS as error:
            log.error("worker.database_unavailable", error=type(error).__name__)
            return RETRY_SECONDS

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # With a backlog, one claim takes several events, so that not each event that ends costs a statement.
        if self._may_have_backlog and len(self._tasks) <= self._most * (1 - CLAIM_SHARE):
            self._wake.set()

    async def _finish_or_postpone(self) -> None:
        if not self._tasks:
            return
        _, unfinished = await asyncio.wait(self._tasks, timeout=self._resources.settings.worker_grace)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _handle(self, claim: Claim) -> None:
        with structlog.contextvars.bound_contextvars(event_id=claim.id, event_type=claim.type):
            try:
                with HANDLING_SECONDS.labels(claim.type).time():
                    await self._handle_or_decide(claim)
            except LeaseLost:
                HANDLED.labels(claim.type, "lease_lost").inc()
                log.warning("event.lease_lost")
            except DATABASE_ERRORS as error:
                # When the lease ends, the event is due again.
                HANDLED.labels(claim.type, "left").inc()
                log.error("event.left_to_its_lease", error=type(error).__name__)

    async def _handle_or_decide(self, claim: Claim) -> None:
        try:
            if claim.attempts > MAX_ATTEMPTS:
                raise UnprocessableEvent(f"none of {MAX_ATTEMPTS} attempts came to an end")
            async with asyncio.timeout(self._lease * LEASE_SHARE) as time_limit, self._alone(claim):
                await self._run_handler(claim, time_limit)
            HANDLED.labels(claim.type, "done").inc()
            EVENT_AGE_SECONDS.labels(claim.type).observe(claim.age.total_seconds())
            log.info("event.done", attempt=claim.attempts, age_seconds=round(claim.age.total_seconds(), 3))
        except asyncio.CancelledError:
            await self._apply_decision(claim, Postpone(timedelta(0), "the worker was stopped"))
            raise
        except LeaseLost:
            raise
        except Exception as error:
            decision = decide(error, claim)
            name = type(decision).__name__.lower()
            HANDLED.labels(claim.type, name).inc()
            # An unexpected failure is a bug of ours, so its traceback is logged.
            trace = None if is_expected(error) else error
            why = describe(error)
            log.warning("event.not_done", decision=name, why=why, attempt=claim.attempts, exc_info=trace)
            await self._apply_decision(claim, decision)
            # It may be due before the end of the wait that was computed without it.
            self._wake.set()

    def _alone(self, claim: Claim) -> AbstractAsyncContextManager[object]:
        """Handle events that may have killed a worker one after the other, so that such an event does not
        spend the attempts of all that were claimed with it."""
        return self._suspects if claim.unexplained > MAX_UNEXPLAINED else nullcontext()

    async def _run_handler(self, claim: Claim, time_limit: asyncio.Timeout) -> None:
        client = self._resources.digital_river.background
        event = (
            await _fetch_again(client, claim) if claim.body is None else read_leniently(claim.body.encode())
        )
        event_object = _read_event_object(event, is_live=self._resources.settings.is_live)
        async with HANDLERS[claim.type](self._resources, claim.type, event_object) as effect:
            if not time_limit.expired():
                # After a time-out in its commit, an event that is done would count as lost. The statements
                # have time limits of their own, and none of them stores anything without the lease.
                time_limit.reschedule(None)
            if not await self._settlements.submit((claim, effect)):
                raise LeaseLost(claim.id)

    async def _settle(self, batch: Sequence[tuple[Claim, Effect]]) -> Sequence[bool]:
        """Finish these events and store their effects in one transaction; False where the lease is lost."""
        async with self._engine.begin() as connection:
            held = await inbox.finish_events(connection, [claim for claim, _ in batch])
            items = defaultdict(list)
            for claim, effect in batch:
                if claim in held:
                    items[effect.store].append(effect.item)
            for store, group in items.items():
                await store(connection, group)
        return [claim in held for claim, _ in batch]

    async def _apply_decision(self, claim: Claim, decision: Decision) -> None:
        async with self._engine.begin() as connection:
            match decision:
                case Postpone(delay, reason):
                    await inbox.postpone(connection, claim, delay=delay, reason=reason)
                case Retry(delay, error):
                    await inbox.retry(connection, claim, delay=delay, error=error)
                case Bury(reason):
                    await inbox.bury(connection, claim, reason)


async def _fetch_again(client: DigitalRiverClient, claim: Claim) -> Mapping[str, Any]:
    """Fetch an event whose body was deleted before an operator revived it.

    Raises:
        UnprocessableEvent: Digital River no longer has the event.
        DigitalRiverError: the call failed; try again later.
    """
    try:
        event = await fetch_event(client, claim.id)
    except (Missing, Refused):
        raise UnprocessableEvent(
            "its body was deleted, and Digital River has no such event any more"
        ) from None
    if event.type != claim.type:
        raise Garbled("the answer is another event")
    return {"liveMode": event.live_mode, "data": event.data}


def _read_event_object(event: Mapping[str, Any], *, is_live: bool) -> Mapping[str, Any]:
    """The event's `data.object`.

    Raises:
        UnprocessableEvent: there is none, or the event is of the other mode (live or test).
    """
    if (mode := event.get("liveMode")) is not is_live:
        # Any other value is not logged: it may be personal or secret.
        actual = mode if isinstance(mode, bool) else "neither true nor false"
        raise UnprocessableEvent(f"liveMode is {actual}, this service processes {is_live}")
    data = event.get("data")
    event_object = data.get("object") if isinstance(data, dict) else None
    if not isinstance(event_object, dict):
        raise UnprocessableEvent("data.object is not an object")
    return event_object


async def run_worker(settings: Settings) -> None:
    """Run a worker and its scheduled jobs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with metrics.serve_metrics(settings.host, settings.worker_metrics_port):
        async with (
            open_resources(settings, digital_river_connections=CONNECTIONS) as resources,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(scheduled_jobs.run_scheduled_jobs(resources, HANDLERS, stop))
            await Worker(resources).run(stop)
