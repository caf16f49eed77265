"""Tax identifiers: format checked at creation, verified later, one of each type per customer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import Filters, by_member, list_response, member
from sandbox.commerce.customers import attached_to, get_stored_customer
from sandbox.commerce.tax_identifier_types import TYPES
from sandbox.commerce.tax_identifiers import (
    delete_stored_tax_identifier,
    get_stored_tax_identifier,
    set_verification,
    verify_tax_identifier_later,
)
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime, runtime_of
from sandbox.state.clock import iso_time
from sandbox.state.store import new_id

_STATES = ("pending", "verified", "not_valid")
_FILTERS = Filters(
    equals=by_member("customerId", "type", "value", "state"),
    timestamps={
        **by_member("createdTime", "updatedTime"),
        **{state: member(f"stateTransitions.{state}") for state in _STATES},
    },
)


async def create_tax_identifier(request: Request) -> Response:
    runtime = runtime_of(request)
    validator = BodyValidator(await read_json(request), ("type", "value"))
    validator.require("type", "value")
    name, value = validator.one_of("type", TYPES), validator.text("value")
    validator.raise_errors()
    tax_type = TYPES[str(name)]
    if not tax_type.accepts(str(value)):
        raise bad_request("invalid_parameter", "value", f"Tax identifier '{value}' invalid.")
    now = iso_time(runtime.now())
    tax_identifier: Json = {
        "id": new_id(),
        "state": "pending",
        "liveMode": runtime.settings.live_mode,
        "type": name,
        "value": value,
        "stateTransitions": {},
        "createdTime": now,
        "updatedTime": now,
        "applicability": tax_type.applicability(),
    }
    runtime.store.tax_identifiers[tax_identifier["id"]] = tax_identifier
    if value in tax_type.test_values and not runtime.settings.live_mode:
        set_verification(runtime, tax_identifier, "verified")
    else:
        set_verification(runtime, tax_identifier, "pending")
        verify_tax_identifier_later(runtime, tax_identifier)
    return JSONResponse(tax_identifier, 201)


async def list_tax_identifiers(request: Request) -> Response:
    return list_response(request, runtime_of(request).store.tax_identifiers, _FILTERS)


async def get_tax_identifier(request: Request) -> Response:
    return JSONResponse(get_stored_tax_identifier(runtime_of(request), request.path_params["id"]))


async def delete_tax_identifier(request: Request) -> Response:
    """Detach and delete."""
    runtime = runtime_of(request)
    delete_stored_tax_identifier(runtime, get_stored_tax_identifier(runtime, request.path_params["id"]))
    return Response(status_code=204)


async def attach_tax_identifier(request: Request) -> Response:
    """Attach in any state, to one customer only. A repetition changes nothing (inferred)."""
    runtime = runtime_of(request)
    customer = get_stored_customer(runtime, request.path_params["id"])
    tax_identifier = get_stored_tax_identifier(runtime, request.path_params["taxId"])
    if tax_identifier.get("customerId") != customer["id"]:
        _check_attachable(runtime, customer, tax_identifier)
        tax_identifier |= {"customerId": customer["id"], "updatedTime": iso_time(runtime.now())}
        emit(runtime, "customer.tax_identifier.created", tax_identifier)
    return JSONResponse(tax_identifier)


def _check_attachable(runtime: Runtime, customer: Json, tax_identifier: Json) -> None:
    if "customerId" in tax_identifier:
        message = "You cannot replace a tax identifier's customer id."
        raise conflict("customer_not_updateable", message, "customerId")
    types = {attached["type"] for attached in attached_to(runtime.store.tax_identifiers, customer)}
    if tax_identifier["type"] in types:
        # One per type is documented, the error message is not.
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
