"""Control of the sandbox itself: reset, clock, request log, undocumented behaviour."""

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime
from starlette.responses import Response

from sandbox.delivery.webhooks import store_configured_webhook
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import runtime_of
from sandbox.state.clock import iso_time_microseconds
from sandbox.state.undocumented_behaviour import UndocumentedBehaviour

router = APIRouter(tags=["Sandbox"])


class ClockChange(JsonModel):
    """Seconds to advance (may be negative), or a time to set. With neither the clock stays."""

    advance_seconds: float | None = None
    now: AwareDatetime | None = None


class ClockTime(JsonModel):
    now: str


class CallLog(JsonModel):
    """`counts` is keyed by method and path template, `POST /file-links`."""

    calls: list[dict[str, Any]]
    counts: dict[str, int]


@router.post("/reset", status_code=204, operation_id="reset")
async def reset(request: Request) -> Response:
    """Remove all state, faults and logs, reset the clock, and cancel pending deliveries and captures."""
    runtime = runtime_of(request)
    await runtime.reset()
    store_configured_webhook(runtime)
    return Response(status_code=204)


@router.get("/clock", operation_id="readClock")
async def read_clock(request: Request) -> ClockTime:
    return ClockTime(now=iso_time_microseconds(runtime_of(request).now()))


@router.post("/clock", operation_id="moveClock")
async def move_clock(change: ClockChange, request: Request) -> ClockTime:
    """Set the time of the resources. Delays, tokens and signatures use the real clock."""
    clock = runtime_of(request).store.clock
    if change.now is not None:
        clock.set(change.now)
    if change.advance_seconds is not None:
        clock.advance(change.advance_seconds)
    return await read_clock(request)


@router.get("/requests", operation_id="listRequests")
async def list_requests(request: Request) -> CallLog:
    """Every call of the Digital River API since the last reset, oldest first."""
    calls = list(runtime_of(request).calls)
    counts = Counter(f"{call['method']} {call['path']}" for call in calls)
    return CallLog(calls=calls, counts=dict(counts))


@router.delete("/requests", status_code=204, operation_id="clearRequests")
async def clear_requests(request: Request) -> Response:
    runtime_of(request).calls.clear()
    return Response(status_code=204)


@router.get("/rules", operation_id="readUndocumentedBehaviour")
async def read_undocumented_behaviour(request: Request) -> UndocumentedBehaviour:
    return runtime_of(request).undocumented_behaviour


@router.put("/rules", operation_id="setUndocumentedBehaviour")
async def set_undocumented_behaviour(
    undocumented_behaviour: UndocumentedBehaviour, request: Request
) -> UndocumentedBehaviour:
    """Set the behaviour until the next reset. Absent members get their default."""
    runtime_of(request).store.undocumented_behaviour = undocumented_behaviour
    return undocumented_behaviour
