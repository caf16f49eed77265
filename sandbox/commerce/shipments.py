"""Shipments of Digital River's Global Logistics. Other merchants' parcels are in fulfillments."""

from datetime import datetime

from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime


def ship(runtime: Runtime, order: Json, parcel: Json, history: list[Json]) -> Json:
    """Add a shipment of the whole order. The members of `parcel` are added to it."""
    names = ("name", "countryOfOrigin")
    shipment: Json = {
        "id": runtime.store.next_number(),
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
    runtime.store.shipments.setdefault(order["id"], []).append(shipment)
    return show_tracking(runtime, order)


def show_tracking(runtime: Runtime, order: Json) -> Json:
    return {
        "orderId": order["id"],
        "shipTo": order["shipTo"],
        "shipments": runtime.store.shipments[order["id"]],
        "liveMode": order["liveMode"],
    }


def carrier_time(timestamp: datetime) -> str:
    """`2021-12-20T02:46:43`: carriers' times have no time zone (docs sample)."""
    return timestamp.strftime("%Y-%m-%dT%H:%M:%S")
