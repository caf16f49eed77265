"""The payment of an order after the checkout: confirmed by the payment provider, or failed."""

from sandbox.commerce.order_states import enter_state, mark_updated
from sandbox.commerce.orders import show_charge
from sandbox.commerce.payments import mark_consumed
from sandbox.delivery.events import emit
from sandbox.errors import conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime


def settle_payment(runtime: Runtime, order: Json, source: Json) -> None:
    if source["state"] == "chargeable":
        enter_state(runtime, order, "accepted")
        mark_consumed(source)
    elif source["state"] in ("failed", "cancelled"):
        fail_payment(runtime, order, "declined", "The payment was declined.")


def fail_payment(runtime: Runtime, order: Json, code: str, message: str) -> None:
    """Fail the charges. The order keeps its state and cannot be recovered (docs, Charges).

    Raises 409 `invalid_state` if the order does not wait for its payment.
    """
    if order["state"] != "pending_payment":
        raise conflict("invalid_state", f"Order '{order['id']}' does not wait for a payment.", "state")
    order["payment"]["session"]["state"] = "failed"
    order["payment"]["session"].pop("nextAction", None)
    mark_updated(runtime, order)
    for charge in order["payment"]["charges"]:
        charge |= {"state": "failed", "failureCode": code, "failureMessage": message}
        emit(runtime, "order.charge.failed", show_charge(order, charge))
