"""Stored tax identifiers: verified by the tax authority, or deleted."""

from sandbox.delivery.events import emit
from sandbox.errors import not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time
from sandbox.state.undocumented_behaviour import Verification

# The name and address of a verified business (docs sample).
_UNDISCLOSED = "---"


def get_stored_tax_identifier(runtime: Runtime, resource_id: str) -> Json:
    tax_identifier = runtime.store.tax_identifiers.get(resource_id)
    if tax_identifier is None:
        raise not_found("Tax identifier", resource_id)
    return tax_identifier


def set_verification(
    runtime: Runtime,
    tax_identifier: Json,
    state: Verification,
    *,
    name: str | None = None,
    address: str | None = None,
) -> None:
    """Set the result of the verification and emit the event. Only a verified business has a name."""
    now = iso_time(runtime.now())
    tax_identifier["state"] = state
    tax_identifier["stateTransitions"][state] = now
    tax_identifier["updatedTime"] = now
    for member in ("verifiedName", "verifiedAddress"):
        tax_identifier.pop(member, None)
    is_business = any(entry["customerType"] == "business" for entry in tax_identifier["applicability"])
    if state == "verified" and is_business:
        tax_identifier["verifiedName"] = name or _UNDISCLOSED
        tax_identifier["verifiedAddress"] = address or _UNDISCLOSED
    emit(runtime, f"tax_identifier.{state}", tax_identifier)


def verify_tax_identifier_later(runtime: Runtime, tax_identifier: Json) -> None:
    """After the capture delay, verify a pending one with the result that `UndocumentedBehaviour` has now."""
    outcome = runtime.undocumented_behaviour.verification

    async def verify() -> None:
        exists = tax_identifier["id"] in runtime.store.tax_identifiers
        if exists and tax_identifier["state"] == "pending":
            set_verification(runtime, tax_identifier, outcome)

    if outcome != "pending":
        runtime.background_tasks.run_after(runtime.settings.capture_delay, verify)


def delete_stored_tax_identifier(runtime: Runtime, tax_identifier: Json) -> None:
    del runtime.store.tax_identifiers[tax_identifier["id"]]
    emit(runtime, "tax_identifier.deleted", tax_identifier, {})
