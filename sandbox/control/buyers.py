"""The doors behind a buyer's own doings: payment methods entered in Drop-in, tax numbers being verified."""

from typing import Any

from fastapi import APIRouter, Request

from sandbox.commerce.drop_in import PaymentMethod, SourceState, mint
from sandbox.commerce.sources import change_source_state, get_stored_source, show_source
from sandbox.commerce.tax_identifiers import get_stored_tax_identifier, verify
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import world_of
from sandbox.state.undocumented_behaviour import Verification

router = APIRouter(tags=["Buyers"])


class SourceStep(JsonModel):
    state: SourceState


class Finding(JsonModel):
    """What the tax authority says; name and address only with `verified`."""

    state: Verification
    verified_name: str | None = None
    verified_address: str | None = None


class DropInResult(JsonModel):
    """What Drop-in hands to `onSuccess`."""

    source: dict[str, Any]
    ready_for_storage: bool
    supports_storage: bool


@router.post("/sources", status_code=201, operation_id="mintSource")
async def mint_source(method: PaymentMethod, request: Request) -> dict[str, Any]:
    """A source in the form in which the browser gets it; GET /sources/{id} shows the API's form."""
    return mint(world_of(request), method)


@router.post("/drop-in", status_code=201, operation_id="completeDropIn")
async def complete_drop_in(method: PaymentMethod, request: Request) -> DropInResult:
    """The same with what Drop-in says about it."""
    world = world_of(request)
    source = mint(world, method)
    is_storable = source["id"] in world.ledger.storable_sources
    return DropInResult(
        source=source,
        ready_for_storage=is_storable and source["state"] == "chargeable",
        supports_storage=method.can_be_saved,
    )


@router.post("/sources/{source_id}/state", operation_id="walkSource")
async def walk_source(source_id: str, step: SourceStep, request: Request) -> dict[str, Any]:
    """Any state at any time; becoming chargeable has its event."""
    world = world_of(request)
    source = get_stored_source(world, source_id)
    change_source_state(world, source, step.state)
    return show_source(source)


@router.post("/tax-identifiers/{tax_id}/verification", operation_id="verifyTaxIdentifier")
async def verify_tax_identifier(tax_id: str, finding: Finding, request: Request) -> dict[str, Any]:
    world = world_of(request)
    tax_identifier = get_stored_tax_identifier(world, tax_id)
    verify(
        world,
        tax_identifier,
        finding.state,
        name=finding.verified_name,
        address=finding.verified_address,
    )
    return tax_identifier
