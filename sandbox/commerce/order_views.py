"""The forms in which an order is shown: whole, expanded, inside a fulfillment, and its charges in events."""

from sandbox.delivery.webhook_delivery import copy_of
from sandbox.state.store import Json

# `GET /orders/{id}?expand=true` adds these to what is shown of a product and item (docs, Expanding events).
_ONLY_EXPANDED = ("physical",)


def show_order(order: Json, *, expand: bool = False) -> Json:
    shown = copy_of(order)
    if not expand:
        for item in shown["items"]:
            for name in _ONLY_EXPANDED:
                item["productDetails"].pop(name, None)
    return shown


def order_details(order: Json) -> Json:
    """The order inside a fulfillment: without payment (sample fulfillment.created)."""
    return {name: value for name, value in show_order(order).items() if name != "payment"}


def show_charge(order: Json, charge: Json) -> Json:
    """The charge as events carry it: with its order and mode (sample order.charge.capture.complete)."""
    return {**charge, "orderId": order["id"], "liveMode": order["liveMode"]}
