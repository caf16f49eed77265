"""Tax identifiers after they were stored: verified by the tax authority, or deleted."""

from sandbox.delivery.events import emit
from sandbox.errors import not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import World
from sandbox.state.clock import stamp
from sandbox.state.undocumented_behaviour import Verification

# What the agency has on file (docs sample of a verified business).
_UNDISCLOSED = "---"


def get_stored_tax_identifier(world: World, identity: str) -> Json:
    tax_identifier = world.ledger.tax_identifiers.get(identity)
    if tax_identifier is None:
        raise not_found("Tax identifier", identity)
    return tax_identifier


def verify(
    world: World,
    tax_identifier: Json,
    state: Verification,
    *,
    name: str | None = None,
    address: str | None = None,
) -> None:
    """What the agency found out, with its event; name and address only come with a verified business."""
    now = stamp(world.now())
    tax_identifier["state"] = state
    tax_identifier["stateTransitions"][state] = now
    tax_identifier["updatedTime"] = now
    for found in ("verifiedName", "verifiedAddress"):
        tax_identifier.pop(found, None)
    is_business = any(one["customerType"] == "business" for one in tax_identifier["applicability"])
    if state == "verified" and is_business:
        tax_identifier["verifiedName"] = name or _UNDISCLOSED
        tax_identifier["verifiedAddress"] = address or _UNDISCLOSED
    emit(world, f"tax_identifier.{state}", tax_identifier)


def verify_later(world: World, tax_identifier: Json) -> None:
    """As the undocumented rules have it now; nothing when somebody was faster."""
    outcome = world.rules.verification

    async def answer() -> None:
        is_there = tax_identifier["id"] in world.ledger.tax_identifiers
        if is_there and tax_identifier["state"] == "pending":
            verify(world, tax_identifier, outcome)

    if outcome != "pending":
        world.errands.after(world.settings.capture_delay, answer)


def delete_stored(world: World, tax_identifier: Json) -> None:
    del world.ledger.tax_identifiers[tax_identifier["id"]]
    emit(world, "tax_identifier.deleted", tax_identifier, {})
