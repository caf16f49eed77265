"""Events: the list, and one event by its id."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.lists import Filters, by_member, list_response, values_of
from sandbox.errors import bad_request, not_found
from sandbox.faults.registry import matches
from sandbox.json_types import Json
from sandbox.runtime.runtime import runtime_of

_MOST_TYPES = 19
_FILTERS = Filters(timestamps=by_member("createdTime"), route_filters=frozenset({"type", "types"}))


async def list_events(request: Request) -> Response:
    """Either `type` (a name, or a prefix with `*`) or `types` (fewer than 20 names).

    `UndocumentedBehaviour.event_types` decides how `types` is read.
    """
    prefix = request.query_params.get("type")
    names = _names(request)
    if prefix and names:
        raise bad_request("invalid_parameter", "types", "Provide either 'type' or 'types', not both.")
    if len(names) > _MOST_TYPES:
        raise bad_request("invalid_parameter", "types", "Fewer than 20 types are allowed.")

    def is_selected(event: Json) -> bool:
        if names:
            return event["type"] in names
        return prefix is None or matches(prefix, event["type"])

    return list_response(request, runtime_of(request).store.events, _FILTERS, keep=is_selected)


def _names(request: Request) -> list[str]:
    given = request.query_params.getlist("types")
    match runtime_of(request).undocumented_behaviour.event_types:
        case "list":
            return values_of(request, "types")
        case "text" if len(given) > 1:
            raise bad_request("invalid_parameter", "types", "Provide 'types' once.")
        case _:
            return given[:1]


async def get_event(request: Request) -> Response:
    event = runtime_of(request).store.events.get(request.path_params["id"])
    if event is None:
        raise not_found("Event", request.path_params["id"])
    return JSONResponse(event)


routes = [
    Route("/events", list_events, methods=["GET"]),
    Route("/events/{id}", get_event, methods=["GET"]),
]
