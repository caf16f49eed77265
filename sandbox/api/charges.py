"""The charges of orders: read one by one, failed after the fact, asked for again after a redirect."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api import orders
from sandbox.api.events import emit
from sandbox.commerce import payments
from sandbox.commerce.order_states import enter, touch
from sandbox.commerce.order_views import show_charge, show_order
from sandbox.errors import conflict, not_found
from sandbox.runtime.runtime import World, world_of
from sandbox.state.store import Json


async def get_charge(request: Request) -> Response:
    world, identity = world_of(request), request.path_params["id"]
    for order in world.ledger.orders.values():
        for charge in order["payment"]["charges"]:
            if charge["id"] == identity:
                return JSONResponse(show_charge(order, charge))
    raise not_found("Charge", identity)


async def refresh_order(request: Request) -> Response:
    """Ask the provider again, as merchants do when a buyer is back from a redirect."""
    world = world_of(request)
    order = orders.get_stored(world, request.path_params["id"])
    source = payments.find_paying_source(world, order)
    if order["state"] == "pending_payment" and source is not None:
        _settle(world, order, source)
    return JSONResponse(show_order(order))


def _settle(world: World, order: Json, source: Json) -> None:
    if source["state"] == "chargeable":
        enter(world, order, "accepted")
        payments.consume(source)
    elif source["state"] in ("failed", "cancelled"):
        fail(world, order, "declined", "The payment was declined.")


def fail(world: World, order: Json, code: str, message: str) -> None:
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


routes = [
    Route("/charges/{id}", get_charge, methods=["GET"]),
    Route("/orders/{id}/refresh", refresh_order, methods=["POST"]),
]
