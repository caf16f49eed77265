"""The doors through which tests and developers move the sandbox: orders, time, faults, call log."""

from collections import Counter
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from sandbox.api import orders, refunds, webhooks
from sandbox.commerce import order_states, refund_states
from sandbox.commerce.checkout import Purchase, place_order
from sandbox.commerce.order_views import show_order
from sandbox.faults.definitions import Fault
from sandbox.faults.json_tampering import LIES
from sandbox.runtime.runtime import world_of
from sandbox.state.clock import stamp_microseconds

router = APIRouter()


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class OrderStep(_Wire):
    """`state` is left out when only the fraud state changes."""

    state: str | None = None
    fraud_state: Literal["review_opened", "passed", "blocked"] | None = None


class RefundStep(_Wire):
    state: Literal["pending", "pending_information", "succeeded", "failed", "expired"]
    failure_reason: str | None = None
    # Until when the buyer may give bank data; only for pending_information.
    expires_time: AwareDatetime | None = None


class ClockMove(_Wire):
    """Either a distance in seconds (may be negative) or a moment; with neither the clock is only read."""

    advance_seconds: float | None = None
    now: AwareDatetime | None = None


class ClockFace(_Wire):
    now: str


class FaultList(_Wire):
    faults: list[Fault]


class Lies(_Wire):
    """The kinds of lie and their variants, as `kind` and `variant` of a fault."""

    lies: dict[str, list[str]]


class CallLog(_Wire):
    """`counts` is keyed by method and path template, `POST /file-links`."""

    calls: list[dict[str, Any]]
    counts: dict[str, int]


@router.post("/reset", status_code=204, operation_id="reset", tags=["Sandbox"])
async def reset(request: Request) -> Response:
    """As after a start: no state, faults, logs, moved clock; pending deliveries and captures never happen."""
    world = world_of(request)
    await world.reset()
    webhooks.keep_configured(world)
    return Response(status_code=204)


@router.post("/orders", status_code=201, operation_id="placeOrder", tags=["Buyers"])
async def create_order(purchase: Purchase, request: Request) -> dict[str, Any]:
    """An order as a buyer's checkout would have made it."""
    return show_order(place_order(world_of(request), purchase))


@router.post("/orders/{order_id}/state", operation_id="walkOrder", tags=["Buyers"])
async def walk_order(order_id: str, step: OrderStep, request: Request) -> dict[str, Any]:
    """One step of the order's state machine, with its events; 409 when there is no such step.

    It moves states only: money is captured, cancelled and paid back by fulfillments and refunds.
    """
    world = world_of(request)
    order = orders.get_stored(world, order_id)
    if step.fraud_state is not None:
        order_states.mark_fraud(world, order, step.fraud_state)
    if step.state is not None:
        order_states.walk(world, order, step.state)
    return show_order(order)


@router.post("/refunds/{refund_id}/state", operation_id="walkRefund", tags=["Buyers"])
async def walk_refund(refund_id: str, step: RefundStep, request: Request) -> dict[str, Any]:
    world = world_of(request)
    refund = refunds.get_stored(world, refund_id)
    refund_states.walk(world, refund, step.state, step.failure_reason, expires=step.expires_time)
    return refund


@router.get("/clock", operation_id="readClock", tags=["Sandbox"])
async def read_clock(request: Request) -> ClockFace:
    return ClockFace(now=stamp_microseconds(world_of(request).now()))


@router.post("/clock", operation_id="moveClock", tags=["Sandbox"])
async def move_clock(move: ClockMove, request: Request) -> ClockFace:
    """Moves what resources call now; timers, tokens and signatures stay with the real clock."""
    clock = world_of(request).ledger.clock
    if move.now is not None:
        clock.set(move.now)
    if move.advance_seconds is not None:
        clock.advance(move.advance_seconds)
    return await read_clock(request)


@router.get("/faults", operation_id="listFaults", tags=["Faults"])
async def list_faults(request: Request) -> FaultList:
    return FaultList(faults=world_of(request).faults.listed())


@router.put("/faults", operation_id="replaceFaults", tags=["Faults"])
async def replace_faults(wish: FaultList, request: Request) -> FaultList:
    world_of(request).faults.clear()
    for fault in wish.faults:
        world_of(request).faults.arm(fault, world_of(request).now())
    return await list_faults(request)


@router.post("/faults", status_code=201, operation_id="addFault", tags=["Faults"])
async def add_fault(fault: Fault, request: Request) -> FaultList:
    world_of(request).faults.arm(fault, world_of(request).now())
    return await list_faults(request)


@router.delete("/faults", status_code=204, operation_id="clearFaults", tags=["Faults"])
async def clear_faults(request: Request) -> Response:
    world_of(request).faults.clear()
    return Response(status_code=204)


@router.get("/lies", operation_id="listLies", tags=["Faults"])
async def list_lies() -> Lies:
    """What a storm may draw from: every kind of lie that a fault can tell, with its variants."""
    return Lies(lies={kind: list(variants) for kind, variants in LIES.items()})


@router.get("/requests", operation_id="listRequests", tags=["Sandbox"])
async def list_requests(request: Request) -> CallLog:
    """Every call of the Digital River API since the last reset, oldest first."""
    calls = list(world_of(request).calls)
    counts = Counter(f"{call['method']} {call['path']}" for call in calls)
    return CallLog(calls=calls, counts=dict(counts))


@router.delete("/requests", status_code=204, operation_id="clearRequests", tags=["Sandbox"])
async def clear_requests(request: Request) -> Response:
    world_of(request).calls.clear()
    return Response(status_code=204)
