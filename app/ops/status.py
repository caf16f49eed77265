"""The status for operators: the inbox, the last sweep, and the state of our Digital River client."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, status
from pydantic import ConfigDict

from app.digital_river.client.circuit_breaker import BreakerState
from app.idempotency.routes import IdempotentRoute
from app.identity.bearer import OPS, require_scope
from app.request_resources import ResourcesDep
from app.web.api_model import ApiModel, Instant
from app.web.problems import Invalid, responses
from app.webhooks import inbox, sweep_log
from app.webhooks.sweep_log import EVENT_HISTORY, Sweep, SweepKind

router = APIRouter(
    prefix="/ops",
    tags=["operations"],
    dependencies=[require_scope(OPS)],
    route_class=IdempotentRoute,
)

_SWEEP_EXAMPLE: dict[str, Any] = {
    "id": 4711,
    "requestedAt": None,
    "reachesBackTo": "2026-01-31T09:05:00Z",
    "kind": "recent",
    "startedAt": "2026-01-31T09:30:00Z",
    "finishedAt": "2026-01-31T09:30:01.200000Z",
    "seen": 12,
    "found": 1,
    "overdue": 1,
    "unreadable": 0,
    "error": None,
}
_DIGITAL_RIVER_EXAMPLE: dict[str, Any] = {
    "budgetPerSecond": 250,
    "usedLastSecond": 3,
    "waiting": 0,
    "pausedUntil": None,
    "breaker": "closed",
    "retryAfterSeconds": None,
}
_STATUS_EXAMPLE: dict[str, Any] = {
    "open": 3,
    "buried": 1,
    "oldestOpenSeconds": 4.2,
    "lastSweep": _SWEEP_EXAMPLE,
    "sweptLastDay": 1,
    "farSide": _DIGITAL_RIVER_EXAMPLE,
}


class SweepView(ApiModel):
    """One sweep. It waits until `startedAt` is set, and runs until `finishedAt` is set. It succeeded if
    `error` is null then."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SWEEP_EXAMPLE]})

    id: int
    requested_at: Instant | None
    """When an operator requested it; null if the schedule started it."""
    reaches_back_to: Instant | None
    """The time back to which it looks. Null while it waits means: back to the last sweep that succeeded."""
    kind: SweepKind | None
    """`full`: as far back as Digital River's list goes; `day`: a day or more; `recent`: less than a day. Null
    while it waits."""
    started_at: Instant | None
    finished_at: Instant | None
    seen: int
    found: int
    """Events that were not in the inbox."""
    overdue: int
    """How many of the found events should have come by webhook already. If it is above 0, check the
    webhook."""
    unreadable: int
    error: str | None


class FarSideView(ApiModel):
    """The state of this API process's client of Digital River. Each process has its own budget and its own
    circuit breaker; those of the other processes are in their metrics."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DIGITAL_RIVER_EXAMPLE]})

    budget_per_second: int
    used_last_second: int
    waiting: int
    """Calls that wait for the budget."""
    paused_until: Instant | None
    """After a 429 this process makes no call before this time."""
    breaker: BreakerState
    """`open` while no call is made, `halfOpen` while only single calls test Digital River."""
    retry_after_seconds: float | None


class StatusView(ApiModel):
    """The status of the portal."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STATUS_EXAMPLE]})

    open: int
    """Events that are still to be handled, including those that wait for another attempt."""
    buried: int
    """Events that wait for an operator."""
    oldest_open_seconds: float | None
    last_sweep: SweepView | None
    """The sweep that was started last; null before the first sweep."""
    swept_last_day: int
    """How many events the sweeps of the last 24 hours have found."""
    far_side: FarSideView


@router.get("/status", operation_id="getStatus", summary="Show the status of the portal")
async def get_status(resources: ResourcesDep) -> StatusView:
    """The inbox, the last sweep and its result, and the budget and circuit breaker for Digital River."""
    async with resources.engine.connect() as connection:
        pending = await inbox.count_events(connection, "pending")
        buried = await inbox.count_events(connection, "buried")
        age = await inbox.find_oldest_pending_age(connection)
        last = await sweep_log.find_last_sweep(connection)
        swept = await sweep_log.count_found(connection, within=timedelta(days=1))
    client = resources.digital_river.status()
    return StatusView(
        open=pending,
        buried=buried,
        oldest_open_seconds=None if age is None else age.total_seconds(),
        last_sweep=None if last is None else _sweep_view(last),
        swept_last_day=swept,
        far_side=FarSideView(
            budget_per_second=client.budget_per_second,
            used_last_second=client.used_last_second,
            waiting=client.waiting,
            paused_until=client.paused_until,
            breaker=client.breaker,
            retry_after_seconds=client.retry_after,
        ),
    )


@router.post(
    "/sweep",
    operation_id="requestSweep",
    summary="Ask Digital River for missed events",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(Invalid),
)
async def request_sweep(
    resources: ResourcesDep,
    days: Annotated[
        int | None,
        Query(
            ge=1, le=EVENT_HISTORY.days, description="How far back to look; by default since the last sweep."
        ),
    ] = None,
) -> SweepView:
    """A worker starts the sweep within seconds; `lastSweep` of the status shows its result. A second request
    before the start changes the same sweep."""
    async with resources.engine.begin() as connection:
        requested = await sweep_log.request_sweep(connection, None if days is None else timedelta(days=days))
    return _sweep_view(requested)


def _sweep_view(sweep: Sweep) -> SweepView:
    return SweepView(
        id=sweep.id,
        requested_at=sweep.requested_at,
        reaches_back_to=sweep.reaches_back_to,
        kind=sweep.kind,
        started_at=sweep.started_at,
        finished_at=sweep.finished_at,
        seen=sweep.result.seen,
        found=sweep.result.found,
        overdue=sweep.result.overdue,
        unreadable=sweep.result.unreadable,
        error=sweep.error,
    )
