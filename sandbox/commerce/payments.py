"""The payment of an order: its sources, charges and session, and the next action of the buyer."""

from collections.abc import Mapping
from decimal import Decimal

from sandbox.commerce.money import amount_of
from sandbox.commerce.source_types import get_source_type
from sandbox.commerce.sources import show_source_in_order
from sandbox.errors import bad_request, conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time
from sandbox.state.store import new_id

# Digital River docs, Payment sessions; the state of the session by the state of the order.
_SESSION: Mapping[str, str] = {
    "pending_payment": "pending_funds",
    "in_review": "complete",
    "accepted": "complete",
    "blocked": "cancelled",
    "cancelled": "failed",
}
_USABLE = ("chargeable", "pending", "pending_redirect", "pending_funds")


def get_usable_source(runtime: Runtime, source_id: str, customer_id: str | None) -> Json:
    """The source that pays. Raises 400 if it is unknown, 409 if it is used up or another customer's."""
    source = runtime.store.sources.get(source_id)
    if source is None:
        raise bad_request("source_not_found", "sourceId", f"Source {source_id} was not found.")
    if source.get("customerId", customer_id) != customer_id:
        message = f"Source '{source_id}' is attached to a different customer."
        raise conflict("source_in_use", message, "sourceId")
    if source["state"] not in _USABLE:
        raise conflict("source_not_chargeable", f"Source '{source_id}' is not chargeable.", "sourceId")
    return source


def create_test_card(runtime: Runtime, email: str, address: Json) -> Json:
    """A card as with Drop-in's test number 4444 2222 3333 1111. It is not stored."""
    return {
        "id": new_id(),
        "type": "creditCard",
        "state": "chargeable",
        "owner": {"firstName": "William", "lastName": "Brown", "email": email, "address": address},
        "creditCard": {
            "brand": "Visa",
            "expirationMonth": 7,
            "expirationYear": runtime.now().year + 2,
            "lastFourDigits": "1111",
        },
    }


def create_payment(runtime: Runtime, order: Json, primary: Json, credit: Json | None) -> Json:
    """The order's `payment`, the primary source first. A source that pays nothing is left out."""
    session, total = new_id(), amount_of(order, "totalAmount")
    from_credit = min(total, amount_of(credit, "amount")) if credit is not None else Decimal(0)
    paid = [(primary, float(total - from_credit)), (credit, float(from_credit))]
    paying = [(source, amount) for source, amount in paid if source is not None and amount]
    return {
        "charges": [_charge(runtime, order, source, amount) for source, amount in paying],
        "sources": [show_source_in_order(source, amount) for source, amount in paying],
        "session": {
            "id": session,
            "amountContributed": order["totalAmount"],
            "amountRemainingToBeContributed": 0.0,
            "state": "requires_confirmation",
            "clientSecret": f"{session}_{new_id()}",
        },
    }


def _charge(runtime: Runtime, order: Json, source: Json, amount: float) -> Json:
    return {
        "id": new_id(),
        "createdTime": iso_time(runtime.now()),
        "currency": order["currency"],
        "amount": amount,
        "state": "pending",
        "captured": False,
        "refunded": False,
        "sourceId": source["id"],
        "type": order["chargeType"],
    }


def mark_consumed(*sources: Json | None) -> None:
    """A charged source that is not saved cannot be used again."""
    for source in sources:
        if source is not None and source.get("reusable") is False:
            source["state"] = "consumed"


def find_paying_source(runtime: Runtime, order: Json) -> Json | None:
    """The stored source of an order. None for a card of `create_test_card`."""
    paying = order["payment"]["sources"]
    return runtime.store.sources.get(paying[0]["id"]) if paying else None


def mark_session(runtime: Runtime, order: Json, state: str) -> None:
    """Set the state of the session from the new state of the order."""
    session = order["payment"]["session"]
    session.pop("nextAction", None)
    if state in _SESSION:
        session["state"] = _SESSION[state]
    source = find_paying_source(runtime, order)
    if state == "pending_payment" and source is not None:
        session |= _next_action(source)


def _next_action(source: Json) -> Json:
    """The next action of the buyer (Digital River docs, Payment sessions, nextAction)."""
    flow = get_source_type(source["type"]).flow
    if flow == "redirect" and source["state"] == "pending_redirect":
        data = {"redirectUrl": source["redirect"]["redirectUrl"]}
        return {"state": "pending_redirect", "nextAction": {"action": "redirect", "data": data}}
    if flow == "receiver":
        data = {"sourceId": source["id"], "sourceClientSecret": source["clientSecret"]}
        instructions = {"action": "show_payment_instructions", "data": data}
        return {"state": "pending_funds", "nextAction": instructions}
    return {"state": "pending"}
