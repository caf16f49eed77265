"""The doors behind a buyer's own doings: payment methods entered in Drop-in, tax numbers being verified."""

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
    """What the tax authority says; name and address only with `verified`."""

    state: Verification
    verified_name: str | None = None
    verified_address: str | None = None


class DropInResult(JsonModel):
    """What Drop-in hands to `onSuccess`."""

    source: dict[str, Any]
    ready_for_storage: bool
    supports_storage: bool


@router.post("/sources", status_code=201, operation_id="createSource")
async def create_source(method: PaymentMethod, request: Request) -> dict[str, Any]:
    """A source in the form in which the browser gets it; GET /sources/{id} shows the API's form."""
    return create_browser_source(runtime_of(request), method)


@router.post("/drop-in", status_code=201, operation_id="completeDropIn")
async def complete_drop_in(method: PaymentMethod, request: Request) -> DropInResult:
    """The same with what Drop-in says about it."""
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
    """Any state at any time; becoming chargeable has its event."""
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
