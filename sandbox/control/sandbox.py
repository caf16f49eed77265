"""The doors through which tests and developers move the sandbox: orders, time, faults, call log."""

from collections import Counter
from typing import Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime
from starlette.responses import Response

from sandbox.delivery.webhooks import keep_configured
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import world_of
from sandbox.state.clock import stamp_microseconds
from sandbox.state.undocumented_behaviour import UndocumentedRules

router = APIRouter(tags=["Sandbox"])


class ClockMove(JsonModel):
    """Either a distance in seconds (may be negative) or a moment; with neither the clock is only read."""

    advance_seconds: float | None = None
    now: AwareDatetime | None = None


class ClockFace(JsonModel):
    now: str


class CallLog(JsonModel):
    """`counts` is keyed by method and path template, `POST /file-links`."""

    calls: list[dict[str, Any]]
    counts: dict[str, int]


@router.post("/reset", status_code=204, operation_id="reset")
async def reset(request: Request) -> Response:
    """As after a start: no state, faults, logs, moved clock; pending deliveries and captures never happen."""
    world = world_of(request)
    await world.reset()
    keep_configured(world)
    return Response(status_code=204)


@router.get("/clock", operation_id="readClock")
async def read_clock(request: Request) -> ClockFace:
    return ClockFace(now=stamp_microseconds(world_of(request).now()))


@router.post("/clock", operation_id="moveClock")
async def move_clock(move: ClockMove, request: Request) -> ClockFace:
    """Moves what resources call now; timers, tokens and signatures stay with the real clock."""
    clock = world_of(request).ledger.clock
    if move.now is not None:
        clock.set(move.now)
    if move.advance_seconds is not None:
        clock.advance(move.advance_seconds)
    return await read_clock(request)


@router.get("/requests", operation_id="listRequests")
async def list_requests(request: Request) -> CallLog:
    """Every call of the Digital River API since the last reset, oldest first."""
    calls = list(world_of(request).calls)
    counts = Counter(f"{call['method']} {call['path']}" for call in calls)
    return CallLog(calls=calls, counts=dict(counts))


@router.delete("/requests", status_code=204, operation_id="clearRequests")
async def clear_requests(request: Request) -> Response:
    world_of(request).calls.clear()
    return Response(status_code=204)


@router.get("/rules", operation_id="readRules")
async def read_rules(request: Request) -> UndocumentedRules:
    return world_of(request).rules


@router.put("/rules", operation_id="setRules")
async def set_rules(rules: UndocumentedRules, request: Request) -> UndocumentedRules:
    """What the documents leave open, until the next reset; what is not named returns to its default."""
    world_of(request).ledger.rules = rules
    return rules
