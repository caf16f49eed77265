"""Fulfillments: shipping captures money and leads to an invoice, cancelling releases it."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import Form, read_json
from sandbox.api.lists import Filters, answer_list, plain
from sandbox.commerce.captures import cancel, capture_later
from sandbox.commerce.metadata import merged_metadata
from sandbox.commerce.order_states import enter, mark_item, touch
from sandbox.commerce.orders import order_details
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, conflict, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import stamp
from sandbox.state.store import new_id

_TRACKING = ("trackingCompany", "trackingNumber", "trackingUrl")
_KNOWN = ("orderId", "items", "shipmentId", "currency", "metadata", "partnerId", *_TRACKING)
_COSTS = ("distributorCost", "shippingCost")
_NAMES = ("shipmentItemId", "subfulfillerId", *_TRACKING)
_KNOWN_ITEM = ("itemId", "skuId", "quantity", "cancelQuantity", *_COSTS, *_NAMES)
_FILTERS = Filters(
    equals={
        **plain("orderId", "trackingCompany", "trackingNumber"),
        "skuId": lambda fulfillment: [item["skuId"] for item in fulfillment["items"]],
    },
    moments=plain("createdTime"),
)
# Only an accepted order can be fulfilled; the codes are from the docs and the official Lightning app.
_TOO_LATE: Mapping[str, str] = {
    "fulfilled": "order_fulfilled",
    "complete": "order_complete",
    "returned": "order_complete",
    "cancelled": "order_cancelled",
}


@dataclass(frozen=True)
class Portion:
    """How much of one order item this fulfillment settles."""

    item: Json
    quantity: int
    cancelled: int
    # What was said about it besides: tracking, the distributor's names and costs.
    more: Json

    def as_json(self) -> Json:
        return {
            "quantity": self.quantity,
            "cancelQuantity": self.cancelled,
            "skuId": self.item["skuId"],
            "itemId": self.item["id"],
            **self.more,
        }


async def create_fulfillment(request: Request) -> Response:
    world = world_of(request)
    form = Form(await read_json(request), _KNOWN)
    form.require("orderId", "items")
    order_id = form.text("orderId")
    for name in ("shipmentId", "currency", "partnerId", *_TRACKING):
        form.text(name)
    wishes = form.objects("items")
    if "currency" not in form.body and any(wish.get(name) is not None for wish in wishes for name in _COSTS):
        # OpenAPI document, FulfillmentRequest: costs are nothing without their currency.
        form.complain("currency", "'currency' is required with costs.", "missing_parameter")
    form.done()
    metadata = merged_metadata({}, form.body["metadata"]) if "metadata" in form.body else None
    order = _fulfillable(world, str(order_id))
    portions: list[Portion] = []
    for place, wish in enumerate(wishes):
        portions.append(_portion(world, order, wish, place, portions))
    fulfillment: Json = {
        "id": new_id("ful_"),
        "createdTime": stamp(world.now()),
        "items": [portion.as_json() for portion in portions],
        "orderId": order["id"],
        "liveMode": world.settings.live_mode,
        **{name: form.body[name] for name in (*_TRACKING, "shipmentId", "currency") if name in form.body},
    }
    if metadata is not None:
        fulfillment["metadata"] = metadata
    world.ledger.fulfillments[fulfillment["id"]] = fulfillment
    emit(world, "fulfillment.created", _with_order(world, fulfillment))
    _settle(world, order, portions, fulfillment["id"])
    return JSONResponse(fulfillment, 201)


def _fulfillable(world: World, order_id: str) -> Json:
    order = world.ledger.orders.get(order_id)
    if order is None:
        # 404 is not among the documented answers of this call.
        raise bad_request("invalid_parameter", "orderId", f"Order '{order_id}' not found.")
    if order["state"] in _TOO_LATE:
        raise conflict(_TOO_LATE[order["state"]], f"Order '{order_id}' is {order['state']}.", "orderId")
    if order["state"] != "accepted":
        raise conflict("order_not_submitted", f"Order '{order_id}' has not been submitted.", "orderId")
    return order


def _portion(world: World, order: Json, wish: Json, place: int, before: list[Portion]) -> Portion:
    """What one wish settles, after those before it. Raises for the first bad item only, as Digital River."""
    form = Form(wish, _KNOWN_ITEM, path=f"items[{place}]")
    item_id, sku_id = form.text("itemId"), form.text("skuId")
    if not item_id and not sku_id:
        form.require("itemId")
    for name in _NAMES:
        form.text(name)
    costs = {name: float(cost) for name in _COSTS if (cost := form.cost(name)) is not None}
    quantity, cancelled = form.quantity("quantity"), form.quantity("cancelQuantity")
    if not quantity and not cancelled:
        form.complain("quantity", "A quantity or a cancelQuantity is required.", "invalid_quantity_amount")
    form.done()
    item = _find_item(world, order, item_id, sku_id, before)
    if item is None:
        name = "itemId" if item_id else "skuId"
        raise bad_request("invalid_parameter", form.at(name), f"Item '{item_id or sku_id}' not found.")
    item_id = str(item["id"])
    settled = world.ledger.progress[item_id]
    left = _open_quantity(world, item, before)
    if settled.fulfilled + settled.cancelled == item["quantity"]:
        code = "item_fulfilled" if settled.fulfilled else "item_cancelled"
        raise conflict(code, f"Item '{item_id}' has been settled.", form.at("itemId"))
    if quantity + cancelled > left:
        message = f"The quantity of item '{item_id}' exceeds the open quantity {left}."
        raise conflict("quantity_too_large", message, form.at("quantity"))
    names = {name: form.body[name] for name in _NAMES if name in form.body}
    return Portion(item, quantity, cancelled, names | costs)


def _find_item(
    world: World, order: Json, item_id: str | None, sku_id: str | None, before: list[Portion]
) -> Json | None:
    """By its id; by its SKU alone, as the official collection asks, the first that is still open."""
    if item_id:
        return next((item for item in order["items"] if item["id"] == item_id), None)
    found = [item for item in order["items"] if item["skuId"] == sku_id]
    return next((item for item in found if _open_quantity(world, item, before)), found[0] if found else None)


def _open_quantity(world: World, item: Json, before: list[Portion]) -> int:
    settled = world.ledger.progress[item["id"]]
    asked = sum(portion.quantity + portion.cancelled for portion in before if portion.item is item)
    return int(item["quantity"]) - settled.fulfilled - settled.cancelled - asked


def _settle(world: World, order: Json, portions: list[Portion], fulfillment_id: str) -> None:
    """Book the portions, then cancel and capture; the order moves on when nothing is open."""
    for portion in portions:
        settled = world.ledger.progress[portion.item["id"]]
        settled.fulfilled += portion.quantity
        settled.cancelled += portion.cancelled
        if settled.fulfilled + settled.cancelled == portion.item["quantity"]:
            mark_item(world, portion.item, "fulfilled" if settled.fulfilled else "cancelled")
    touch(world, order)
    released = [(portion.item, portion.cancelled) for portion in portions if portion.cancelled]
    shipped = [(portion.item, portion.quantity) for portion in portions if portion.quantity]
    states = {item["state"] for item in order["items"]}
    is_last = states <= {"fulfilled", "cancelled"}
    if released:
        cancel(world, order, released, is_last=is_last and not shipped)
    if states == {"cancelled"}:
        enter(world, order, "cancelled")
    elif is_last:
        enter(world, order, "fulfilled")
    if shipped:
        capture_later(world, order, shipped, fulfillment_id, is_last=is_last)


def _with_order(world: World, fulfillment: Json) -> Json:
    return {**fulfillment, "orderDetails": order_details(world.ledger.orders[fulfillment["orderId"]])}


def _get_stored_fulfillment(world: World, request: Request) -> Json:
    fulfillment = world.ledger.fulfillments.get(request.path_params["id"])
    if fulfillment is None:
        raise not_found("Fulfillment", request.path_params["id"])
    return fulfillment


async def list_fulfillments(request: Request) -> Response:
    return answer_list(request, world_of(request).ledger.fulfillments, _FILTERS)


async def get_fulfillment(request: Request) -> Response:
    world = world_of(request)
    return JSONResponse(_with_order(world, _get_stored_fulfillment(world, request)))


async def update_fulfillment(request: Request) -> Response:
    """Tracking, of the whole or of single items, and metadata."""
    world = world_of(request)
    fulfillment = _get_stored_fulfillment(world, request)
    form = Form(await read_json(request), (*_TRACKING, "items", "metadata"))
    changes: Json = {name: form.text(name) for name in _TRACKING if name in form.body}
    wishes = form.objects("items")
    form.done()
    if "metadata" in form.body:
        changes["metadata"] = merged_metadata(fulfillment.get("metadata"), form.body["metadata"])
    items = {item["itemId"]: item for item in fulfillment["items"]}
    for place, wish in enumerate(wishes):
        entry = Form(wish, ("itemId", *_TRACKING), path=f"items[{place}]")
        item = items.get(str(entry.text("itemId")))
        tracking = {name: value for name in _TRACKING if (value := entry.text(name)) is not None}
        entry.done()
        if item is None:
            raise bad_request("invalid_parameter", f"items[{place}].itemId", "Item not found.")
        item.update(tracking)
    fulfillment.update(changes)
    return JSONResponse(fulfillment)


routes = [
    Route("/fulfillments", create_fulfillment, methods=["POST"]),
    Route("/fulfillments", list_fulfillments, methods=["GET"]),
    Route("/fulfillments/{id}", get_fulfillment, methods=["GET"]),
    Route("/fulfillments/{id}", update_fulfillment, methods=["POST"]),
]
