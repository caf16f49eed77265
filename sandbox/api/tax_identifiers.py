"""Tax identifiers: format checked at once, verified by somebody else later, one of each type per customer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api import customers
from sandbox.api.body_validation import Form, read_json
from sandbox.api.events import emit
from sandbox.api.lists import Filters, answer_list, member, plain
from sandbox.commerce.tax_identifier_types import TYPES
from sandbox.errors import bad_request, conflict, not_found
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import stamp
from sandbox.state.store import Json, new_id
from sandbox.state.undocumented_behaviour import Verification

_STATES = ("pending", "verified", "not_valid")
_FILTERS = Filters(
    equals=plain("customerId", "type", "value", "state"),
    moments={
        **plain("createdTime", "updatedTime"),
        **{state: member(f"stateTransitions.{state}") for state in _STATES},
    },
)
# What the agency has on file (docs sample of a verified business).
_UNDISCLOSED = "---"


def get_stored(world: World, identity: str) -> Json:
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


async def create_tax_identifier(request: Request) -> Response:
    world = world_of(request)
    form = Form(await read_json(request), ("type", "value"))
    form.require("type", "value")
    name, value = form.one_of("type", TYPES), form.text("value")
    form.done()
    kind = TYPES[str(name)]
    if not kind.accepts(str(value)):
        raise bad_request("invalid_parameter", "value", f"Tax identifier '{value}' invalid.")
    now = stamp(world.now())
    tax_identifier: Json = {
        "id": new_id(),
        "state": "pending",
        "liveMode": world.settings.live_mode,
        "type": name,
        "value": value,
        "stateTransitions": {},
        "createdTime": now,
        "updatedTime": now,
        "applicability": kind.applicability(),
    }
    world.ledger.tax_identifiers[tax_identifier["id"]] = tax_identifier
    if value in kind.tests and not world.settings.live_mode:
        verify(world, tax_identifier, "verified")
    else:
        verify(world, tax_identifier, "pending")
        _verify_later(world, tax_identifier)
    return JSONResponse(tax_identifier, 201)


def _verify_later(world: World, tax_identifier: Json) -> None:
    """As the undocumented rules have it now; nothing when somebody was faster."""
    outcome = world.rules.verification

    async def answer() -> None:
        is_there = tax_identifier["id"] in world.ledger.tax_identifiers
        if is_there and tax_identifier["state"] == "pending":
            verify(world, tax_identifier, outcome)

    if outcome != "pending":
        world.errands.after(world.settings.capture_delay, answer)


async def list_tax_identifiers(request: Request) -> Response:
    return answer_list(request, world_of(request).ledger.tax_identifiers, _FILTERS)


async def get_tax_identifier(request: Request) -> Response:
    return JSONResponse(get_stored(world_of(request), request.path_params["id"]))


async def delete_tax_identifier(request: Request) -> Response:
    """Detaches and deletes."""
    world = world_of(request)
    forget(world, get_stored(world, request.path_params["id"]))
    return Response(status_code=204)


def forget(world: World, tax_identifier: Json) -> None:
    del world.ledger.tax_identifiers[tax_identifier["id"]]
    emit(world, "tax_identifier.deleted", tax_identifier, {})


async def attach_tax_identifier(request: Request) -> Response:
    """In any state; to one customer for good. Repeating is harmless (inferred)."""
    world = world_of(request)
    customer = customers.get_stored(world, request.path_params["id"])
    tax_identifier = get_stored(world, request.path_params["taxId"])
    if tax_identifier.get("customerId") != customer["id"]:
        _check_attachable(world, customer, tax_identifier)
        tax_identifier |= {"customerId": customer["id"], "updatedTime": stamp(world.now())}
        emit(world, "customer.tax_identifier.created", tax_identifier)
    return JSONResponse(tax_identifier)


def _check_attachable(world: World, customer: Json, tax_identifier: Json) -> None:
    if "customerId" in tax_identifier:
        message = "You cannot replace a tax identifier's customer id."
        raise conflict("customer_not_updateable", message, "customerId")
    taken = {one["type"] for one in customers.attached(world.ledger.tax_identifiers, customer)}
    if tax_identifier["type"] in taken:
        # One per type is documented, the words of the refusal are not.
        message = (
            f"Customer '{customer['id']}' already has a tax identifier of type '{tax_identifier['type']}'."
        )
        raise conflict("already_exists", message, "type")


routes = [
    Route("/tax-identifiers", create_tax_identifier, methods=["POST"]),
    Route("/tax-identifiers", list_tax_identifiers, methods=["GET"]),
    Route("/tax-identifiers/{id}", get_tax_identifier, methods=["GET"]),
    Route("/tax-identifiers/{id}", delete_tax_identifier, methods=["DELETE"]),
    Route("/customers/{id}/tax-identifiers/{taxId}", attach_tax_identifier, methods=["POST"]),
]
