"""Payment sources: read by their id, saved to a customer, removed again."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.addresses import ADDRESS_FIELDS, check_address, read_additional
from sandbox.api.body_validation import Form, read_json
from sandbox.commerce.customers import attached_to, get_stored_customer
from sandbox.commerce.sources import cancel_source, get_stored_source, show_source
from sandbox.delivery.events import emit
from sandbox.errors import Complaint, Refusal, conflict, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import stamp, stamp_milliseconds
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
    """Store credit only: every other source is made in a browser."""
    world = world_of(request)
    form = Form(await read_json(request), _CREDIT)
    form.require("type")
    form.one_of("type", ("customerCredit",))
    amount = form.cost("amount")
    for name in ("currency", "upstreamId", "paymentSessionId"):
        form.text(name)
    form.nested("customerCredit", ())
    if (owner := form.nested("owner", _OWNER)) is not None:
        owner.require("address")
        for name in ("firstName", "lastName", "organization", "upstreamId"):
            owner.text(name)
        owner.email("email")
        owner.absorb(read_additional(owner))
        if (address := owner.nested("address", ADDRESS_FIELDS)) is not None:
            check_address(address)
            owner.absorb(address)
        form.absorb(owner)
    form.done()
    identity = new_id()
    source: Json = {
        "id": identity,
        "createdTime": stamp(world.now()),
        **form.body,
        "reusable": False,
        "state": "chargeable",
        "clientSecret": f"{identity}_{new_id()}",
        "customerCredit": form.body.get("customerCredit", {}),
        "liveMode": world.settings.live_mode,
    }
    if amount is not None:
        source["amount"] = float(amount)
    world.ledger.sources[identity] = source
    emit(world, "source.created", show_source(source))
    return JSONResponse(show_source(source), 201)


async def get_source(request: Request) -> Response:
    """The message follows the other resources' 404s; none is printed for sources."""
    identity = request.path_params["id"]
    source = world_of(request).ledger.sources.get(identity)
    if source is None:
        raise not_found("Source", identity)
    return JSONResponse(show_source(source))


async def attach_source(request: Request) -> Response:
    """Save it. Repeating is harmless (inferred); the first saved source becomes the default."""
    world = world_of(request)
    customer = get_stored_customer(world, request.path_params["id"])
    source = get_stored_source(world, request.path_params["sourceId"])
    if source.get("customerId") != customer["id"]:
        _check_attachable(world, source)
        source |= {
            "customerId": customer["id"],
            "reusable": True,
            "updatedTime": stamp_milliseconds(world.now()),
        }
        if "defaultSourceId" not in customer:
            customer |= {"defaultSourceId": source["id"], "updatedTime": stamp(world.now())}
        emit(world, "customer.source.created", show_source(source))
    return JSONResponse(show_source(source))


def _check_attachable(world: World, source: Json) -> None:
    """The order of these checks is inferred."""
    if "customerId" in source:
        message = f"Source '{source['id']}' is attached to a different customer."
        raise conflict("source_in_use", message, "sourceId")
    if source["id"] not in world.ledger.storable_sources:
        raise conflict("nonreusable_source", "Only a reusable source may be attached to a customer.")
    if source["state"] != "chargeable":
        raise conflict("source_not_chargeable", f"Source '{source['id']}' is not chargeable.", "sourceId")


async def detach_source(request: Request) -> Response:
    """Cancelled for good. What becomes of a default that goes is undocumented: see UndocumentedRules."""
    world = world_of(request)
    customer = get_stored_customer(world, request.path_params["id"])
    source = get_stored_source(world, request.path_params["sourceId"])
    if source.get("customerId") != customer["id"]:
        # Undocumented; somebody else's source looks like none.
        raise Refusal(404, Complaint(f"Source {source['id']} was not found.", "source_not_found"))
    cancel_source(world, source)
    if customer.get("defaultSourceId") == source["id"]:
        _replace_default(world, customer)
    return Response(status_code=204)


def _replace_default(world: World, customer: Json) -> None:
    del customer["defaultSourceId"]
    customer["updatedTime"] = stamp(world.now())
    if world.rules.after_default_detached == "promote":
        left = attached_to(world.ledger.sources, customer)
        if left:
            customer["defaultSourceId"] = left[0]["id"]


routes = [
    Route("/sources", create_source, methods=["POST"]),
    Route("/sources/{id}", get_source, methods=["GET"]),
    Route("/customers/{id}/sources/{sourceId}", attach_source, methods=["POST"]),
    Route("/customers/{id}/sources/{sourceId}", detach_source, methods=["DELETE"]),
]
