"""Orders: read and updated by merchants. `POST /_sandbox/orders` creates them."""

from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import Filters, by_member, list_response, member
from sandbox.commerce.metadata import merged_metadata
from sandbox.commerce.money import amount_of, find_decimal
from sandbox.commerce.order_states import mark_updated
from sandbox.commerce.orders import get_stored_order, show_order
from sandbox.commerce.shipments import show_tracking
from sandbox.delivery.events import emit
from sandbox.errors import ApiError, ErrorDetail, bad_request
from sandbox.json_types import Json
from sandbox.runtime.runtime import runtime_of

_STATES = (
    "in_review",
    "pending_payment",
    "accepted",
    "blocked",
    "cancelled",
    "fulfilled",
    "complete",
    "returned",
)
_FILTERS = Filters(
    equals={
        **by_member("customerId", "checkoutId", "email", "state", "fraudState", "currency"),
        **by_member("applicationId", "browserIp", "chargeType", "locale", "customerType"),
        "skuId": lambda order: [item["skuId"] for item in order["items"]],
        "subscriptionId": lambda order: [
            item.get("subscriptionInfo", {}).get("subscriptionId") for item in order["items"]
        ],
    },
    any_of={"upstreamIds": member("upstreamId")},
    timestamps={
        **by_member("createdTime", "updatedTime"),
        **{state: member(f"stateTransitions.{state}") for state in _STATES},
        **by_member(*(f"fraudStateTransitions.{state}" for state in ("blocked", "review_opened", "passed"))),
    },
    numbers=by_member("totalAmount", "refundedAmount"),
)


async def list_orders(request: Request) -> Response:
    return list_response(request, runtime_of(request).store.orders, _FILTERS, show=show_order)


async def get_order(request: Request) -> Response:
    expand = request.query_params.get("expand", "false")
    if expand not in ("true", "false"):
        raise bad_request("invalid_boolean", "expand", f"'{expand}' is not a valid boolean.")
    order = get_stored_order(runtime_of(request), request.path_params["id"])
    return JSONResponse(show_order(order, expand=expand == "true"))


async def update_order(request: Request) -> Response:
    """Update `requestToBeForgotten`, `upstreamId`, `metadata`. Items' metadata changes without an event."""
    runtime = runtime_of(request)
    order = get_stored_order(runtime, request.path_params["id"])
    validator = BodyValidator(
        await read_json(request), ("requestToBeForgotten", "upstreamId", "metadata", "items")
    )
    changes: Json = {}
    if (forget := validator.boolean("requestToBeForgotten")) is not None:
        changes["requestToBeForgotten"] = forget
    if (upstream_id := validator.text("upstreamId")) is not None:
        changes["upstreamId"] = upstream_id
    requested_items = validator.objects("items")
    validator.raise_errors()
    if "metadata" in validator.body:
        changes["metadata"] = merged_metadata(order.get("metadata"), validator.body["metadata"])
    _update_items(order, requested_items)
    previous = {name: order[name] for name in changes if name in order and order[name] != changes[name]}
    is_changed = any(order.get(name) != value for name, value in changes.items())
    order.update(changes)
    mark_updated(runtime, order)
    if is_changed:
        emit(runtime, "order.updated", show_order(order), previous)
    return JSONResponse(show_order(order))


def _update_items(order: Json, requested_items: list[Json]) -> None:
    items = {item["id"]: item for item in order["items"]}
    for index, requested in enumerate(requested_items):
        item = items.get(str(requested.get("id")))
        if item is None:
            raise bad_request(
                "invalid_parameter", f"items[{index}].id", f"'{requested.get('id')}' is not a valid id."
            )
        item["metadata"] = merged_metadata(item.get("metadata"), requested.get("metadata", {}))


async def get_tracking(request: Request) -> Response:
    """The 404 for an order without shipments names the order, not the tracking (docs sample)."""
    runtime = runtime_of(request)
    order = get_stored_order(runtime, request.path_params["id"])
    if order["id"] not in runtime.store.shipments:
        message = "There are no shipments found for an order."
        raise ApiError(404, ErrorDetail(message, "invalid_parameter", "orderId"))
    return JSONResponse(show_tracking(runtime, order))


async def get_tax_details(request: Request) -> Response:
    """One tax per item, of the country of destination. The docs print no sample."""
    order = get_stored_order(runtime_of(request), request.path_params["id"])
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
    Route("/orders", list_orders, methods=["GET"]),
    Route("/orders/{id}", get_order, methods=["GET"]),
    Route("/orders/{id}", update_order, methods=["POST"]),
    Route("/orders/{id}/tracking", get_tracking, methods=["GET"]),
    Route("/orders/{id}/tax-details", get_tax_details, methods=["GET"]),
]
