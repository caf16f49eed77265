"""Shipments of Global Logistics, and an order's taxes; other merchants' parcels are on their fulfillments."""

from datetime import datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api import orders
from sandbox.commerce.money import amount_of, find_decimal
from sandbox.errors import Complaint, Refusal
from sandbox.runtime.runtime import World, world_of
from sandbox.state.store import Json


def ship(world: World, order: Json, parcel: Json, history: list[Json]) -> Json:
    """Add a parcel with everything in the order. `parcel` overrides what is shown of it."""
    names = ("name", "countryOfOrigin")
    shipment: Json = {
        "id": world.ledger.next_number(),
        "shipFrom": order["shipFrom"],
        "items": [
            {
                "itemId": item["id"],
                "productDetails": {name: item["productDetails"][name] for name in names},
                "quantity": item["quantity"],
            }
            for item in order["items"]
        ],
        **parcel,
        "trackingDetails": history,
    }
    world.ledger.shipments.setdefault(order["id"], []).append(shipment)
    return show_tracking(world, order)


def show_tracking(world: World, order: Json) -> Json:
    return {
        "orderId": order["id"],
        "shipTo": order["shipTo"],
        "shipments": world.ledger.shipments[order["id"]],
        "liveMode": order["liveMode"],
    }


def local_stamp(moment: datetime) -> str:
    """`2021-12-20T02:46:43`: the carriers' times carry no zone (docs sample)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


async def get_tracking(request: Request) -> Response:
    """The 404 for an order without shipments names the order, not the tracking (docs sample)."""
    world = world_of(request)
    order = orders.get_stored(world, request.path_params["id"])
    if order["id"] not in world.ledger.shipments:
        message = "There are no shipments found for an order."
        raise Refusal(404, Complaint(message, "invalid_parameter", "orderId"))
    return JSONResponse(show_tracking(world, order))


async def get_tax_details(request: Request) -> Response:
    """One tax per item, levied by the country it is shipped to; the docs print no sample."""
    order = orders.get_stored(world_of(request), request.path_params["id"])
    country = order["shipTo"]["address"]["country"]
    items = [{"id": item["id"], "taxDetails": [_tax(item, country)]} for item in order["items"]]
    return JSONResponse({"orderId": order["id"], "items": items})


def _tax(item: Json, country: str) -> Json:
    rate = float(find_decimal(item["tax"]["rate"]) or Decimal(0))
    return {
        "country": country,
        "jurisdictionType": "Country",
        "jurisdictionName": country,
        "taxType": "Sales",
        "taxName": f"{country} sales tax",
        "exemptUnit": 0,
        "nonTaxableUnit": 0,
        "rate": rate,
        "effectiveRate": rate,
        "taxAmount": float(amount_of(item["tax"], "amount")),
    }


routes = [
    Route("/orders/{id}/tracking", get_tracking, methods=["GET"]),
    Route("/orders/{id}/tax-details", get_tax_details, methods=["GET"]),
]
