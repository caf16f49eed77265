"""Control of faults: list, set, clear."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults.definitions import Fault
from sandbox.faults.json_tampering import TAMPERING_VARIANTS
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import runtime_of

router = APIRouter(tags=["Faults"])


class FaultList(JsonModel):
    faults: list[Fault]


class TamperingKinds(JsonModel):
    """The kinds of tampering and their variants: values of `kind` and `variant` of a fault."""

    lies: dict[str, list[str]]


@router.get("/faults", operation_id="listFaults")
async def list_faults(request: Request) -> FaultList:
    return FaultList(faults=runtime_of(request).faults.list_active())


@router.put("/faults", operation_id="replaceFaults")
async def replace_faults(requested: FaultList, request: Request) -> FaultList:
    runtime_of(request).faults.clear()
    for fault in requested.faults:
        runtime_of(request).faults.add(fault, runtime_of(request).now())
    return await list_faults(request)


@router.post("/faults", status_code=201, operation_id="addFault")
async def add_fault(fault: Fault, request: Request) -> FaultList:
    runtime_of(request).faults.add(fault, runtime_of(request).now())
    return await list_faults(request)


@router.delete("/faults", status_code=204, operation_id="clearFaults")
async def clear_faults(request: Request) -> Response:
    runtime_of(request).faults.clear()
    return Response(status_code=204)


@router.get("/lies", operation_id="listTamperingKinds")
async def list_tampering_kinds() -> TamperingKinds:
    """Every kind of tampering with its variants."""
    return TamperingKinds(lies={kind: list(variants) for kind, variants in TAMPERING_VARIANTS.items()})
