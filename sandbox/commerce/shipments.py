"""Shipments of Global Logistics."""

from datetime import datetime

from sandbox.json_types import Json
from sandbox.runtime.runtime import World


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
