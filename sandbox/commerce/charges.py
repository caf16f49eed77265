"""The payment of an order after the checkout: confirmed by the provider, or failed."""

from sandbox.commerce.order_states import enter, touch
from sandbox.commerce.orders import show_charge
from sandbox.commerce.payments import consume
from sandbox.delivery.events import emit
from sandbox.errors import conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import World


def settle_payment(world: World, order: Json, source: Json) -> None:
    if source["state"] == "chargeable":
        enter(world, order, "accepted")
        consume(source)
    elif source["state"] in ("failed", "cancelled"):
        fail_payment(world, order, "declined", "The payment was declined.")


def fail_payment(world: World, order: Json, code: str, message: str) -> None:
    """An authorisation that failed later. The order stays as it is and cannot be recovered (docs, Charges).

    Raises 409 `invalid_state` unless the order still waits for its payment.
    """
    if order["state"] != "pending_payment":
        raise conflict("invalid_state", f"Order '{order['id']}' does not wait for a payment.", "state")
    order["payment"]["session"]["state"] = "failed"
    order["payment"]["session"].pop("nextAction", None)
    touch(world, order)
    for charge in order["payment"]["charges"]:
        charge |= {"state": "failed", "failureCode": code, "failureMessage": message}
        emit(world, "order.charge.failed", show_charge(order, charge))
