"""Payment sources: read by their id, saved to a customer, removed again."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api import customers
from sandbox.api.body_validation import Form, read_json
from sandbox.api.events import emit
from sandbox.commerce.source_views import show_source
from sandbox.errors import Complaint, Refusal, conflict, not_found
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import stamp, stamp_milliseconds
from sandbox.state.store import Json, new_id

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
_ADDRESS = ("line1", "line2", "city", "postalCode", "state", "country")


def get_stored(world: World, identity: str) -> Json:
    """Raises the 404 of the official Lightning app's fixtures, which has no parameter."""
    source = world.ledger.sources.get(identity)
    if source is None:
        raise Refusal(404, Complaint(f"Source {identity} was not found.", "source_not_found"))
    return source


def change_state(world: World, source: Json, state: str) -> None:
    """What happens outside: a redirect comes back, money arrives, a bank declines."""
    has_become_chargeable = state == "chargeable" != source["state"]
    source["state"] = state
    source["updatedTime"] = stamp_milliseconds(world.now())
    if has_become_chargeable:
        emit(world, "source.chargeable", show_source(source))


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
        owner.absorb(customers.read_additional(owner))
        if (address := owner.nested("address", _ADDRESS)) is not None:
            customers.check_address(address)
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
    customer = customers.get_stored(world, request.path_params["id"])
    source = get_stored(world, request.path_params["sourceId"])
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
    customer = customers.get_stored(world, request.path_params["id"])
    source = get_stored(world, request.path_params["sourceId"])
    if source.get("customerId") != customer["id"]:
        # Undocumented; somebody else's source looks like none.
        raise Refusal(404, Complaint(f"Source {source['id']} was not found.", "source_not_found"))
    cancel(world, source)
    if customer.get("defaultSourceId") == source["id"]:
        _replace_default(world, customer)
    return Response(status_code=204)


def cancel(world: World, source: Json) -> None:
    """Take it from its customer; the event shows it as it was attached last, but cancelled."""
    source |= {"state": "cancelled", "updatedTime": stamp_milliseconds(world.now())}
    emit(world, "customer.source.deleted", show_source(source))
    del source["customerId"]


def _replace_default(world: World, customer: Json) -> None:
    del customer["defaultSourceId"]
    customer["updatedTime"] = stamp(world.now())
    if world.rules.after_default_detached == "promote":
        left = customers.attached(world.ledger.sources, customer)
        if left:
            customer["defaultSourceId"] = left[0]["id"]


routes = [
    Route("/sources", create_source, methods=["POST"]),
    Route("/sources/{id}", get_source, methods=["GET"]),
    Route("/customers/{id}/sources/{sourceId}", attach_source, methods=["POST"]),
    Route("/customers/{id}/sources/{sourceId}", detach_source, methods=["DELETE"]),
]
