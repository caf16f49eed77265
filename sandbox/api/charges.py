"""The charges of orders, and the refresh of a pending payment."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.commerce import payments
from sandbox.commerce.charges import settle_payment
from sandbox.commerce.orders import get_stored_order, show_charge, show_order
from sandbox.errors import not_found
from sandbox.runtime.runtime import runtime_of


async def get_charge(request: Request) -> Response:
    runtime, resource_id = runtime_of(request), request.path_params["id"]
    for order in runtime.store.orders.values():
        for charge in order["payment"]["charges"]:
            if charge["id"] == resource_id:
                return JSONResponse(show_charge(order, charge))
    raise not_found("Charge", resource_id)


async def refresh_order(request: Request) -> Response:
    """Ask the payment provider again. Merchants do so after a redirect of the buyer."""
    runtime = runtime_of(request)
    order = get_stored_order(runtime, request.path_params["id"])
    source = payments.find_paying_source(runtime, order)
    if order["state"] == "pending_payment" and source is not None:
        settle_payment(runtime, order, source)
    return JSONResponse(show_order(order))


routes = [
    Route("/charges/{id}", get_charge, methods=["GET"]),
    Route("/orders/{id}/refresh", refresh_order, methods=["POST"]),
]
