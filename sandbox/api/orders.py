"""Orders as merchants read them; they come into being through the control API's checkout."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import Form, merged_metadata, read_json
from sandbox.api.events import emit
from sandbox.api.lists import Filters, answer_list, member, plain
from sandbox.commerce.order_states import touch
from sandbox.commerce.order_views import show_order
from sandbox.errors import bad_request, not_found
from sandbox.runtime.runtime import World, world_of
from sandbox.state.store import Json

_STATES = (
    "in_review",
    "pending_payment",
    "accepted",
    "blocked",
    "cancelled",
    "fulfilled",
    "complete",
    "returned",
)
_FILTERS = Filters(
    equals={
        **plain("customerId", "checkoutId", "email", "state", "fraudState", "currency"),
        **plain("applicationId", "browserIp", "chargeType", "locale", "customerType"),
        "skuId": lambda order: [item["skuId"] for item in order["items"]],
        "subscriptionId": lambda order: [
            item.get("subscriptionInfo", {}).get("subscriptionId") for item in order["items"]
        ],
    },
    any_of={"upstreamIds": member("upstreamId")},
    moments={
        **plain("createdTime", "updatedTime"),
        **{state: member(f"stateTransitions.{state}") for state in _STATES},
        **plain(*(f"fraudStateTransitions.{state}" for state in ("blocked", "review_opened", "passed"))),
    },
    numbers=plain("totalAmount", "refundedAmount"),
)


def get_stored(world: World, identity: str) -> Json:
    order = world.ledger.orders.get(identity)
    if order is None:
        raise not_found("Order", identity)
    return order


async def list_orders(request: Request) -> Response:
    return answer_list(request, world_of(request).ledger.orders, _FILTERS, show=show_order)


async def get_order(request: Request) -> Response:
    expand = request.query_params.get("expand", "false")
    if expand not in ("true", "false"):
        raise bad_request("invalid_boolean", "expand", f"'{expand}' is not a valid boolean.")
    order = get_stored(world_of(request), request.path_params["id"])
    return JSONResponse(show_order(order, expand=expand == "true"))


async def update_order(request: Request) -> Response:
    """Only `requestToBeForgotten`, `upstreamId`, `metadata`, and the items' metadata without an event."""
    world = world_of(request)
    order = get_stored(world, request.path_params["id"])
    form = Form(await read_json(request), ("requestToBeForgotten", "upstreamId", "metadata", "items"))
    changes: Json = {}
    if (forget := form.boolean("requestToBeForgotten")) is not None:
        changes["requestToBeForgotten"] = forget
    if (upstream_id := form.text("upstreamId")) is not None:
        changes["upstreamId"] = upstream_id
    wishes = form.objects("items")
    form.done()
    if "metadata" in form.body:
        changes["metadata"] = merged_metadata(order.get("metadata"), form.body["metadata"])
    _update_items(order, wishes)
    previous = {name: order[name] for name in changes if name in order and order[name] != changes[name]}
    is_changed = any(order.get(name) != value for name, value in changes.items())
    order.update(changes)
    touch(world, order)
    if is_changed:
        emit(world, "order.updated", show_order(order), previous)
    return JSONResponse(show_order(order))


def _update_items(order: Json, wishes: list[Json]) -> None:
    items = {item["id"]: item for item in order["items"]}
    for place, wish in enumerate(wishes):
        item = items.get(str(wish.get("id")))
        if item is None:
            raise bad_request(
                "invalid_parameter", f"items[{place}].id", f"'{wish.get('id')}' is not a valid id."
            )
        item["metadata"] = merged_metadata(item.get("metadata"), wish.get("metadata", {}))


routes = [
    Route("/orders", list_orders, methods=["GET"]),
    Route("/orders/{id}", get_order, methods=["GET"]),
    Route("/orders/{id}", update_order, methods=["POST"]),
]
