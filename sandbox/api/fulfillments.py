"""Fulfillments: shipped items capture money and get an invoice, cancelled items release money."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import Filters, by_member, list_response
from sandbox.commerce.captures import cancel_lines, capture_lines_later
from sandbox.commerce.metadata import merged_metadata
from sandbox.commerce.order_states import enter_state, mark_item, mark_updated
from sandbox.commerce.orders import order_details
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, conflict, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime, runtime_of
from sandbox.state.clock import iso_time
from sandbox.state.store import new_id

_TRACKING = ("trackingCompany", "trackingNumber", "trackingUrl")
_KNOWN = ("orderId", "items", "shipmentId", "currency", "metadata", "partnerId", *_TRACKING)
_COSTS = ("distributorCost", "shippingCost")
_NAMES = ("shipmentItemId", "subfulfillerId", *_TRACKING)
_KNOWN_ITEM = ("itemId", "skuId", "quantity", "cancelQuantity", *_COSTS, *_NAMES)
_FILTERS = Filters(
    equals={
        **by_member("orderId", "trackingCompany", "trackingNumber"),
        "skuId": lambda fulfillment: [item["skuId"] for item in fulfillment["items"]],
    },
    timestamps=by_member("createdTime"),
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
    """The quantities of one order item that a fulfillment ships and cancels."""

    item: Json
    quantity: int
    cancelled: int
    # The other members of the request: tracking, the distributor's names and costs.
    other_members: Json

    def as_json(self) -> Json:
        return {
            "quantity": self.quantity,
            "cancelQuantity": self.cancelled,
            "skuId": self.item["skuId"],
            "itemId": self.item["id"],
            **self.other_members,
        }


async def create_fulfillment(request: Request) -> Response:
    runtime = runtime_of(request)
    validator = BodyValidator(await read_json(request), _KNOWN)
    validator.require("orderId", "items")
    order_id = validator.text("orderId")
    for name in ("shipmentId", "currency", "partnerId", *_TRACKING):
        validator.text(name)
    requested_items = validator.objects("items")
    if "currency" not in validator.body and any(
        requested.get(name) is not None for requested in requested_items for name in _COSTS
    ):
        # OpenAPI document, FulfillmentRequest: costs need a currency.
        validator.add_error("currency", "'currency' is required with costs.", "missing_parameter")
    validator.raise_errors()
    metadata = merged_metadata({}, validator.body["metadata"]) if "metadata" in validator.body else None
    order = _get_fulfillable_order(runtime, str(order_id))
    portions: list[Portion] = []
    for index, requested in enumerate(requested_items):
        portions.append(_portion(runtime, order, requested, index, portions))
    fulfillment: Json = {
        "id": new_id("ful_"),
        "createdTime": iso_time(runtime.now()),
        "items": [portion.as_json() for portion in portions],
        "orderId": order["id"],
        "liveMode": runtime.settings.live_mode,
        **{
            name: validator.body[name]
            for name in (*_TRACKING, "shipmentId", "currency")
            if name in validator.body
        },
    }
    if metadata is not None:
        fulfillment["metadata"] = metadata
    runtime.store.fulfillments[fulfillment["id"]] = fulfillment
    emit(runtime, "fulfillment.created", _with_order(runtime, fulfillment))
    _settle_order(runtime, order, portions, fulfillment["id"])
    return JSONResponse(fulfillment, 201)


def _get_fulfillable_order(runtime: Runtime, order_id: str) -> Json:
    order = runtime.store.orders.get(order_id)
    if order is None:
        # 404 is not among the documented answers of this call.
        raise bad_request("invalid_parameter", "orderId", f"Order '{order_id}' not found.")
    if order["state"] in _TOO_LATE:
        raise conflict(_TOO_LATE[order["state"]], f"Order '{order_id}' is {order['state']}.", "orderId")
    if order["state"] != "accepted":
        raise conflict("order_not_submitted", f"Order '{order_id}' has not been submitted.", "orderId")
    return order


def _portion(runtime: Runtime, order: Json, requested: Json, index: int, before: list[Portion]) -> Portion:
    """One requested item, after those before it. Raises for the first invalid item only, as Digital River."""
    validator = BodyValidator(requested, _KNOWN_ITEM, path=f"items[{index}]")
    item_id, sku_id = validator.text("itemId"), validator.text("skuId")
    if not item_id and not sku_id:
        validator.require("itemId")
    for name in _NAMES:
        validator.text(name)
    costs = {
        name: float(cost) for name in _COSTS if (cost := validator.non_negative_number(name)) is not None
    }
    quantity, cancelled = validator.quantity("quantity"), validator.quantity("cancelQuantity")
    if not quantity and not cancelled:
        validator.add_error(
            "quantity", "A quantity or a cancelQuantity is required.", "invalid_quantity_amount"
        )
    validator.raise_errors()
    item = _find_item(runtime, order, item_id, sku_id, before)
    if item is None:
        name = "itemId" if item_id else "skuId"
        raise bad_request(
            "invalid_parameter", validator.path_of(name), f"Item '{item_id or sku_id}' not found."
        )
    item_id = str(item["id"])
    progress = runtime.store.item_progress[item_id]
    left = _open_quantity(runtime, item, before)
    if progress.fulfilled + progress.cancelled == item["quantity"]:
        code = "item_fulfilled" if progress.fulfilled else "item_cancelled"
        raise conflict(code, f"Item '{item_id}' has been settled.", validator.path_of("itemId"))
    if quantity + cancelled > left:
        message = f"The quantity of item '{item_id}' exceeds the open quantity {left}."
        raise conflict("quantity_too_large", message, validator.path_of("quantity"))
    names = {name: validator.body[name] for name in _NAMES if name in validator.body}
    return Portion(item, quantity, cancelled, names | costs)


def _find_item(
    runtime: Runtime, order: Json, item_id: str | None, sku_id: str | None, before: list[Portion]
) -> Json | None:
    """By id. By SKU alone (as in the official Postman collection), the first item with an open quantity."""
    if item_id:
        return next((item for item in order["items"] if item["id"] == item_id), None)
    found = [item for item in order["items"] if item["skuId"] == sku_id]
    return next(
        (item for item in found if _open_quantity(runtime, item, before)), found[0] if found else None
    )


def _open_quantity(runtime: Runtime, item: Json, before: list[Portion]) -> int:
    progress = runtime.store.item_progress[item["id"]]
    requested = sum(portion.quantity + portion.cancelled for portion in before if portion.item is item)
    return int(item["quantity"]) - progress.fulfilled - progress.cancelled - requested


def _settle_order(runtime: Runtime, order: Json, portions: list[Portion], fulfillment_id: str) -> None:
    """Record the portions, then cancel and capture. The order changes state if no quantity is open."""
    for portion in portions:
        progress = runtime.store.item_progress[portion.item["id"]]
        progress.fulfilled += portion.quantity
        progress.cancelled += portion.cancelled
        if progress.fulfilled + progress.cancelled == portion.item["quantity"]:
            mark_item(runtime, portion.item, "fulfilled" if progress.fulfilled else "cancelled")
    mark_updated(runtime, order)
    released = [(portion.item, portion.cancelled) for portion in portions if portion.cancelled]
    shipped = [(portion.item, portion.quantity) for portion in portions if portion.quantity]
    states = {item["state"] for item in order["items"]}
    is_last = states <= {"fulfilled", "cancelled"}
    if released:
        cancel_lines(runtime, order, released, is_last=is_last and not shipped)
    if states == {"cancelled"}:
        enter_state(runtime, order, "cancelled")
    elif is_last:
        enter_state(runtime, order, "fulfilled")
    if shipped:
        capture_lines_later(runtime, order, shipped, fulfillment_id, is_last=is_last)


def _with_order(runtime: Runtime, fulfillment: Json) -> Json:
    return {**fulfillment, "orderDetails": order_details(runtime.store.orders[fulfillment["orderId"]])}


def _get_stored_fulfillment(runtime: Runtime, request: Request) -> Json:
    fulfillment = runtime.store.fulfillments.get(request.path_params["id"])
    if fulfillment is None:
        raise not_found("Fulfillment", request.path_params["id"])
    return fulfillment


async def list_fulfillments(request: Request) -> Response:
    return list_response(request, runtime_of(request).store.fulfillments, _FILTERS)


async def get_fulfillment(request: Request) -> Response:
    runtime = runtime_of(request)
    return JSONResponse(_with_order(runtime, _get_stored_fulfillment(runtime, request)))


async def update_fulfillment(request: Request) -> Response:
    """Update metadata and the tracking of the fulfillment or of single items."""
    runtime = runtime_of(request)
    fulfillment = _get_stored_fulfillment(runtime, request)
    validator = BodyValidator(await read_json(request), (*_TRACKING, "items", "metadata"))
    changes: Json = {name: validator.text(name) for name in _TRACKING if name in validator.body}
    requested_items = validator.objects("items")
    validator.raise_errors()
    if "metadata" in validator.body:
        changes["metadata"] = merged_metadata(fulfillment.get("metadata"), validator.body["metadata"])
    items = {item["itemId"]: item for item in fulfillment["items"]}
    for index, requested in enumerate(requested_items):
        entry = BodyValidator(requested, ("itemId", *_TRACKING), path=f"items[{index}]")
        item = items.get(str(entry.text("itemId")))
        tracking = {name: value for name in _TRACKING if (value := entry.text(name)) is not None}
        entry.raise_errors()
        if item is None:
            raise bad_request("invalid_parameter", f"items[{index}].itemId", "Item not found.")
        item.update(tracking)
    fulfillment.update(changes)
    return JSONResponse(fulfillment)


routes = [
    Route("/fulfillments", create_fulfillment, methods=["POST"]),
    Route("/fulfillments", list_fulfillments, methods=["GET"]),
    Route("/fulfillments/{id}", get_fulfillment, methods=["GET"]),
    Route("/fulfillments/{id}", update_fulfillment, methods=["POST"]),
]
