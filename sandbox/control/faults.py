"""Faults that tests and developers set."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults.definitions import Fault
from sandbox.faults.json_tampering import LIES
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import world_of

router = APIRouter(tags=["Faults"])


class FaultList(JsonModel):
    faults: list[Fault]


class Lies(JsonModel):
    """The kinds of lie and their variants, as `kind` and `variant` of a fault."""

    lies: dict[str, list[str]]


@router.get("/faults", operation_id="listFaults")
async def list_faults(request: Request) -> FaultList:
    return FaultList(faults=world_of(request).faults.listed())


@router.put("/faults", operation_id="replaceFaults")
async def replace_faults(wish: FaultList, request: Request) -> FaultList:
    world_of(request).faults.clear()
    for fault in wish.faults:
        world_of(request).faults.arm(fault, world_of(request).now())
    return await list_faults(request)


@router.post("/faults", status_code=201, operation_id="addFault")
async def add_fault(fault: Fault, request: Request) -> FaultList:
    world_of(request).faults.arm(fault, world_of(request).now())
    return await list_faults(request)


@router.delete("/faults", status_code=204, operation_id="clearFaults")
async def clear_faults(request: Request) -> Response:
    world_of(request).faults.clear()
    return Response(status_code=204)


@router.get("/lies", operation_id="listLies")
async def list_lies() -> Lies:
    """What a storm may draw from: every kind of lie that a fault can tell, with its variants."""
    return Lies(lies={kind: list(variants) for kind, variants in LIES.items()})
