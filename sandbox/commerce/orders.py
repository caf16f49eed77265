"""Stored orders, and the JSON of orders and charges in answers and events."""

import copy

from sandbox.errors import not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime

# `GET /orders/{id}?expand=true` adds these to what is shown of a product and item (docs, Expanding events).
_ONLY_EXPANDED = ("physical",)


def show_order(order: Json, *, expand: bool = False) -> Json:
    shown = copy.deepcopy(order)
    if not expand:
        for item in shown["items"]:
            for name in _ONLY_EXPANDED:
                item["productDetails"].pop(name, None)
    return shown


def order_details(order: Json) -> Json:
    """The order inside a fulfillment: without payment (sample fulfillment.created)."""
    return {name: value for name, value in show_order(order).items() if name != "payment"}


def show_charge(order: Json, charge: Json) -> Json:
    """The charge as events show it: with its order and mode (sample order.charge.capture.complete)."""
    return {**charge, "orderId": order["id"], "liveMode": order["liveMode"]}


def get_stored_order(runtime: Runtime, resource_id: str) -> Json:
    order = runtime.store.orders.get(resource_id)
    if order is None:
        raise not_found("Order", resource_id)
    return order
