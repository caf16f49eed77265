"""Control of what buyers and tax authorities do outside the API: Drop-in, and the verification of tax ids."""

from typing import Any

from fastapi import APIRouter, Request

from sandbox.commerce.drop_in import PaymentMethod, SourceState, create_browser_source
from sandbox.commerce.sources import change_source_state, get_stored_source, show_source
from sandbox.commerce.tax_identifiers import get_stored_tax_identifier, set_verification
from sandbox.json_types import JsonModel
from sandbox.runtime.runtime import runtime_of
from sandbox.state.undocumented_behaviour import Verification

router = APIRouter(tags=["Buyers"])


class SourceStateChange(JsonModel):
    state: SourceState


class VerificationResult(JsonModel):
    """The answer of the tax authority. Name and address count only with `verified`."""

    state: Verification
    verified_name: str | None = None
    verified_address: str | None = None


class DropInResult(JsonModel):
    """The argument of Drop-in's `onSuccess`."""

    source: dict[str, Any]
    ready_for_storage: bool
    supports_storage: bool


@router.post("/sources", status_code=201, operation_id="createSource")
async def create_source(method: PaymentMethod, request: Request) -> dict[str, Any]:
    """Create a source and answer it in the browser's form. GET /sources/{id} answers the API's form."""
    return create_browser_source(runtime_of(request), method)


@router.post("/drop-in", status_code=201, operation_id="completeDropIn")
async def complete_drop_in(method: PaymentMethod, request: Request) -> DropInResult:
    """Create a source and answer what Drop-in passes to the page."""
    runtime = runtime_of(request)
    source = create_browser_source(runtime, method)
    is_storable = source["id"] in runtime.store.storable_sources
    return DropInResult(
        source=source,
        ready_for_storage=is_storable and source["state"] == "chargeable",
        supports_storage=method.can_be_saved,
    )


@router.post("/sources/{source_id}/state", operation_id="setSourceState")
async def set_source_state(source_id: str, change: SourceStateChange, request: Request) -> dict[str, Any]:
    """Set any state at any time. The state chargeable emits an event."""
    runtime = runtime_of(request)
    source = get_stored_source(runtime, source_id)
    change_source_state(runtime, source, change.state)
    return show_source(source)


@router.post("/tax-identifiers/{tax_id}/verification", operation_id="verifyTaxIdentifier")
async def verify_tax_identifier(tax_id: str, result: VerificationResult, request: Request) -> dict[str, Any]:
    runtime = runtime_of(request)
    tax_identifier = get_stored_tax_identifier(runtime, tax_id)
    set_verification(
        runtime,
        tax_identifier,
        result.state,
        name=result.verified_name,
        address=result.verified_address,
    )
    return tax_identifier
