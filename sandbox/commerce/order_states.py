"""The state machine of orders, what each state changes in the order, and the events.

Source: Digital River docs, Orders.
"""

from collections.abc import Mapping

from sandbox.commerce.orders import show_order
from sandbox.commerce.payments import mark_session
from sandbox.delivery.events import emit
from sandbox.errors import bad_request, conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time

_FIRST = ("accepted", "in_review", "pending_payment", "blocked")
_EVENTS: Mapping[str, str] = {
    "pending_payment": "order.pending_payment",
    "in_review": "order.review_opened",
    "accepted": "order.accepted",
    "blocked": "order.blocked",
    "cancelled": "order.cancelled",
    "fulfilled": "order.fulfilled",
    "complete": "order.complete",
    "returned": "order.refunded",
    "dispute": "order.dispute",
}
_NEXT: Mapping[str, tuple[str, ...]] = {
    "pending_payment": ("in_review", "accepted", "blocked", "cancelled"),
    "in_review": ("accepted", "blocked"),
    "accepted": ("cancelled", "fulfilled", "dispute"),
    "fulfilled": ("complete", "returned", "dispute"),
    "complete": ("returned", "dispute"),
    "dispute": ("accepted", "fulfilled", "complete"),
}
_FRAUD: Mapping[str, str] = {"in_review": "review_opened", "accepted": "passed", "blocked": "blocked"}
_CHARGE: Mapping[str, str] = {
    "in_review": "capturable",
    "accepted": "capturable",
    "blocked": "cancelled",
    "cancelled": "cancelled",
    "complete": "complete",
}
_ITEMS: Mapping[str, str] = {"blocked": "blocked", "cancelled": "cancelled", "returned": "returned"}


def enter_first_state(runtime: Runtime, order: Json, state: str) -> None:
    """Enter the state after the checkout: accepted, in_review, pending_payment or blocked."""
    if state not in _FIRST:
        raise bad_request("invalid_parameter", "state", f"An order cannot begin as '{state}'.")
    enter_state(runtime, order, state)


def change_order_state(runtime: Runtime, order: Json, state: str) -> None:
    """Change to an allowed next state. Raises 409 `invalid_state` otherwise.

    A dispute ends in the state before it (docs), or in accepted (sample order.dispute.resolved of a complete
    order). Items and charges stay as they are.
    """
    former = order["state"]
    if state not in _NEXT.get(former, ()):
        raise conflict("invalid_state", f"Order '{order['id']}' cannot go from {former} to {state}.", "state")
    if state == "dispute":
        runtime.store.state_before_dispute[order["id"]] = former
    if former == "dispute":
        if state not in ("accepted", runtime.store.state_before_dispute.get(order["id"], state)):
            raise conflict("invalid_state", "A dispute ends in the state it interrupted.", "state")
        runtime.store.state_before_dispute.pop(order["id"], None)
        order["state"] = state
        mark_updated(runtime, order)
        emit(runtime, "order.dispute.resolved", show_order(order))
        return
    enter_state(runtime, order, state)
    if former == "in_review":
        emit(runtime, "order.review_closed", show_order(order))


def enter_state(runtime: Runtime, order: Json, state: str) -> None:
    """Set the state of the order and its items, charges and session, then emit the event."""
    now = iso_time(runtime.now())
    order["state"] = state
    order["stateTransitions"][state] = now
    fraud = _FRAUD.get(state)
    if fraud is not None:
        mark_fraud(runtime, order, fraud)
    if state in _CHARGE:
        for charge in order["payment"]["charges"]:
            charge["state"] = _CHARGE[state]
    mark_session(runtime, order, state)
    if state in _ITEMS:
        for item in order["items"]:
            mark_item(runtime, item, _ITEMS[state])
    mark_updated(runtime, order)
    emit(runtime, _EVENTS[state], show_order(order))


def mark_fraud(runtime: Runtime, order: Json, fraud_state: str) -> None:
    order["fraudState"] = fraud_state
    order["fraudStateTransitions"][fraud_state] = iso_time(runtime.now())
    mark_updated(runtime, order)


def mark_item(runtime: Runtime, item: Json, state: str) -> None:
    item["state"] = state
    item["stateTransitions"][state] = iso_time(runtime.now())


def mark_updated(runtime: Runtime, order: Json) -> None:
    order["updatedTime"] = iso_time(runtime.now())
