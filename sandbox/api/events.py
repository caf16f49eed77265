"""What happened: recorded as Digital River's event object, then handed to the matching webhooks."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.lists import Filters, answer_list, plain, texts_of
from sandbox.delivery import webhook_delivery
from sandbox.errors import bad_request, not_found
from sandbox.faults.definitions import matches
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import stamp_microseconds
from sandbox.state.store import Json, new_id

VERSION = "2021-12-13"
# The printed samples of these two carry `versionIds` instead of version and webhooks.
_INVOICE_EVENTS = frozenset({"order.invoice.created", "order.credit_memo.created"})
_MOST_TYPES = 19
_FILTERS = Filters(moments=plain("createdTime"), own=frozenset({"type", "types"}))


def emit(world: World, event_type: str, resource: Json, previous: Json | None = None) -> Json:
    """Record that something happened to a resource and deliver it, signed, in the background."""
    event = record(world, event_type, resource, previous)
    webhook_delivery.dispatch(world, event)
    return event


def record(
    world: World,
    event_type: str,
    resource: Json,
    previous: Json | None = None,
    *,
    event_id: str | None = None,
    live_mode: bool | None = None,
) -> Json:
    """Store the event only, as `GET /events` shows it."""
    data: Json = {"object": webhook_delivery.copy_of(resource)}
    if previous is not None:
        data["previousAttributes"] = webhook_delivery.copy_of(previous)
    event: Json = {
        "id": event_id or new_id(),
        "type": event_type,
        "data": data,
        "liveMode": world.settings.live_mode if live_mode is None else live_mode,
        "createdTime": stamp_microseconds(world.now()),
    }
    if event_type in _INVOICE_EVENTS:
        event["versionIds"] = []
    else:
        event["webhookIds"] = [hook["id"] for hook in webhook_delivery.webhooks_for(world, event_type)]
        event["digitalriverVersion"] = VERSION
    world.ledger.events[event["id"]] = event
    return event


async def list_events(request: Request) -> Response:
    """`type` (a name, or a prefix with `*`) xor `types` (fewer than 20 names, as the rules have it)."""
    prefix = request.query_params.get("type")
    names = _names(request)
    if prefix and names:
        raise bad_request("invalid_parameter", "types", "Provide either 'type' or 'types', not both.")
    if len(names) > _MOST_TYPES:
        raise bad_request("invalid_parameter", "types", "Fewer than 20 types are allowed.")

    def is_wanted(event: Json) -> bool:
        if names:
            return event["type"] in names
        return prefix is None or matches(prefix, event["type"])

    return answer_list(request, world_of(request).ledger.events, _FILTERS, keep=is_wanted)


def _names(request: Request) -> list[str]:
    given = request.query_params.getlist("types")
    match world_of(request).rules.event_types:
        case "list":
            return texts_of(request, "types")
        case "text" if len(given) > 1:
            raise bad_request("invalid_parameter", "types", "Provide 'types' once.")
        case _:
            return given[:1]


async def get_event(request: Request) -> Response:
    event = world_of(request).ledger.events.get(request.path_params["id"])
    if event is None:
        raise not_found("Event", request.path_params["id"])
    return JSONResponse(event)


routes = [
    Route("/events", list_events, methods=["GET"]),
    Route("/events/{id}", get_event, methods=["GET"]),
]
