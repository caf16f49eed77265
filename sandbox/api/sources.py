"""Payment sources: read by id, attached to a customer, detached."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.addresses import ADDRESS_FIELDS, check_address, read_additional
from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.commerce.customers import attached_to, get_stored_customer
from sandbox.commerce.sources import cancel_source, get_stored_source, show_source
from sandbox.delivery.events import emit
from sandbox.errors import ApiError, ErrorDetail, conflict, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime, runtime_of
from sandbox.state.clock import iso_time, iso_time_milliseconds
from sandbox.state.store import new_id

_CREDIT = ("type", "amount", "currency", "upstreamId", "paymentSessionId", "owner", "customerCredit")
_OWNER = (
    "firstName",
    "lastName",
    "email",
    "organization",
    "upstreamId",
    "address",
    "additionalAddressInfo",
)


async def create_source(request: Request) -> Response:
    """Store credit only. Browsers create all other sources."""
    runtime = runtime_of(request)
    validator = BodyValidator(await read_json(request), _CREDIT)
    validator.require("type")
    validator.one_of("type", ("customerCredit",))
    amount = validator.non_negative_number("amount")
    for name in ("currency", "upstreamId", "paymentSessionId"):
        validator.text(name)
    validator.nested("customerCredit", ())
    if (owner := validator.nested("owner", _OWNER)) is not None:
        owner.require("address")
        for name in ("firstName", "lastName", "organization", "upstreamId"):
            owner.text(name)
        owner.email("email")
        owner.merge_errors(read_additional(owner))
        if (address := owner.nested("address", ADDRESS_FIELDS)) is not None:
            check_address(address)
            owner.merge_errors(address)
        validator.merge_errors(owner)
    validator.raise_errors()
    resource_id = new_id()
    source: Json = {
        "id": resource_id,
        "createdTime": iso_time(runtime.now()),
        **validator.body,
        "reusable": False,
        "state": "chargeable",
        "clientSecret": f"{resource_id}_{new_id()}",
        "customerCredit": validator.body.get("customerCredit", {}),
        "liveMode": runtime.settings.live_mode,
    }
    if amount is not None:
        source["amount"] = float(amount)
    runtime.store.sources[resource_id] = source
    emit(runtime, "source.created", show_source(source))
    return JSONResponse(show_source(source), 201)


async def get_source(request: Request) -> Response:
    """The message follows the other resources' 404s; none is printed for sources."""
    resource_id = request.path_params["id"]
    source = runtime_of(request).store.sources.get(resource_id)
    if source is None:
        raise not_found("Source", resource_id)
    return JSONResponse(show_source(source))


async def attach_source(request: Request) -> Response:
    """Attach a source. A repetition changes nothing (inferred). The first source becomes the default."""
    runtime = runtime_of(request)
    customer = get_stored_customer(runtime, request.path_params["id"])
    source = get_stored_source(runtime, request.path_params["sourceId"])
    if source.get("customerId") != customer["id"]:
        _check_attachable(runtime, source)
        source |= {
            "customerId": customer["id"],
            "reusable": True,
            "updatedTime": iso_time_milliseconds(runtime.now()),
        }
        if "defaultSourceId" not in customer:
            customer |= {"defaultSourceId": source["id"], "updatedTime": iso_time(runtime.now())}
        emit(runtime, "customer.source.created", show_source(source))
    return JSONResponse(show_source(source))


def _check_attachable(runtime: Runtime, source: Json) -> None:
    """The order of these checks is inferred."""
    if "customerId" in source:
        message = f"Source '{source['id']}' is attached to a different customer."
        raise conflict("source_in_use", message, "sourceId")
    if source["id"] not in runtime.store.storable_sources:
        raise conflict("nonreusable_source", "Only a reusable source may be attached to a customer.")
    if source["state"] != "chargeable":
        raise conflict("source_not_chargeable", f"Source '{source['id']}' is not chargeable.", "sourceId")


async def detach_source(request: Request) -> Response:
    """Detach and cancel a source. `UndocumentedBehaviour` decides about the default source."""
    runtime = runtime_of(request)
    customer = get_stored_customer(runtime, request.path_params["id"])
    source = get_stored_source(runtime, request.path_params["sourceId"])
    if source.get("customerId") != customer["id"]:
        # Undocumented: another customer's source is answered like a missing one.
        raise ApiError(404, ErrorDetail(f"Source {source['id']} was not found.", "source_not_found"))
    cancel_source(runtime, source)
    if customer.get("defaultSourceId") == source["id"]:
        _replace_default(runtime, customer)
    return Response(status_code=204)


def _replace_default(runtime: Runtime, customer: Json) -> None:
    del customer["defaultSourceId"]
    customer["updatedTime"] = iso_time(runtime.now())
    if runtime.undocumented_behaviour.after_default_detached == "promote":
        left = attached_to(runtime.store.sources, customer)
        if left:
            customer["defaultSourceId"] = left[0]["id"]


routes = [
    Route("/sources", create_source, methods=["POST"]),
    Route("/sources/{id}", get_source, methods=["GET"]),
    Route("/customers/{id}/sources/{sourceId}", attach_source, methods=["POST"]),
    Route("/customers/{id}/sources/{sourceId}", detach_source, methods=["DELETE"]),
]
