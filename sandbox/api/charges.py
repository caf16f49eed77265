"""The charges of orders: read one by one, failed after the fact, asked for again after a redirect."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.commerce import payments
from sandbox.commerce.charges import settle_payment
from sandbox.commerce.orders import get_stored_order, show_charge, show_order
from sandbox.errors import not_found
from sandbox.runtime.runtime import world_of


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
    order = get_stored_order(world, request.path_params["id"])
    source = payments.find_paying_source(world, order)
    if order["state"] == "pending_payment" and source is not None:
        settle_payment(world, order, source)
    return JSONResponse(show_order(order))


routes = [
    Route("/charges/{id}", get_charge, methods=["GET"]),
    Route("/orders/{id}/refresh", refresh_order, methods=["POST"]),
]
