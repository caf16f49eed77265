"""Refunds: created as pending, then paid back with a credit memo."""

from collections.abc import Mapping
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import Filters, by_member, list_response
from sandbox.commerce.invoices import line_total, proportion
from sandbox.commerce.metadata import merged_metadata
from sandbox.commerce.money import amount_of, find_decimal, rounded
from sandbox.commerce.refund_states import get_stored_refund, settle_refund_later
from sandbox.delivery.events import emit
from sandbox.errors import bad_request
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime, runtime_of
from sandbox.state.clock import iso_time
from sandbox.state.store import new_id

_KNOWN = ("orderId", "invoiceId", "currency", "amount", "percent", "type", "items", "reason", "metadata")
_KNOWN_ITEM = ("itemId", "skuId", "quantity", "amount", "percent", "type")
_ORDER_TYPES: Mapping[str, str] = {
    "shipping": "totalShipping",
    "tax": "totalTax",
    "duty": "totalDuty",
    "importer_tax": "totalImporterTax",
}
_ITEM_TYPES = ("shipping", "fees", "duty")
_FILTERS = Filters(
    equals={
        **by_member("state", "orderId", "reason", "failureReason"),
        "skuId": lambda refund: [item.get("skuId") for item in refund["items"]],
    },
    timestamps=by_member("createdTime"),
    numbers=by_member("refundedAmount", "amount"),
)


async def create_refund(request: Request) -> Response:
    runtime = runtime_of(request)
    validator = BodyValidator(await read_json(request), _KNOWN)
    validator.require("orderId", "currency")
    validator.one_of("type", tuple(_ORDER_TYPES))
    validator.text("reason", longest=64)
    for name in ("orderId", "invoiceId", "currency"):
        validator.text(name)
    amount, percent = validator.number("amount"), _percent(validator)
    requested_items = validator.objects("items")
    given = [name for name in ("amount", "percent", "items") if validator.body.get(name)]
    if len(given) != 1:
        validator.add_error("amount", "Exactly one of amount, percent and items is required.")
    validator.raise_errors()
    order = _get_refundable_order(runtime, str(validator.body["orderId"]), str(validator.body["currency"]))
    if given == ["items"]:
        items = [_item(order, requested, index) for index, requested in enumerate(requested_items)]
        amount = sum((amount_of(item, "amount") for item in items), Decimal(0))
    else:
        items = []
        amount = _order_amount(order, validator.body.get("type"), amount, percent)
    _check_available(order, amount)
    refund = _store(runtime, order, validator.body, items, amount)
    emit(runtime, "refund.pending", refund)
    settle_refund_later(runtime, refund)
    return JSONResponse(refund, 201)


def _percent(validator: BodyValidator) -> Decimal | None:
    percent = validator.number("percent")
    if percent is not None and not Decimal("0.01") <= percent <= 100:
        validator.reject_value("percent")
    if percent is not None and validator.body.get("type") == "tax" and percent != 100:
        validator.add_error("percent", "Tax can only be refunded as a whole.")
    return percent


def _get_refundable_order(runtime: Runtime, order_id: str, currency: str) -> Json:
    order = runtime.store.orders.get(order_id)
    if order is None:
        # 404 is not among the documented answers of this call.
        raise bad_request("invalid_parameter", "orderId", f"Order '{order_id}' not found.")
    if order["state"] == "dispute":
        raise bad_request("invalid_parameter", "order", f"Order '{order_id}' is in dispute.")
    if currency != order["currency"]:
        raise bad_request("invalid_parameter", "currency", f"Currency {currency} is not supported.")
    return order


def _order_amount(
    order: Json, refund_type: str | None, amount: Decimal | None, percent: Decimal | None
) -> Decimal:
    base = amount_of(order, _ORDER_TYPES[refund_type]) if refund_type else amount_of(order, "capturedAmount")
    if refund_type == "shipping":
        # The samples refund shipping together with its tax.
        base += sum((amount_of(item.get("shipping", {}), "taxAmount") for item in order["items"]), Decimal(0))
    requested = amount if amount is not None else base * (percent or Decimal(0)) / 100
    if refund_type and requested > base:
        _raise_amount_too_large()
    return rounded(requested, order["currency"])


def _item(order: Json, requested: Json, index: int) -> Json:
    """One item of the refund with its computed amount. Raises 400 for the first invalid item."""
    validator = BodyValidator(requested, _KNOWN_ITEM, path=f"items[{index}]")
    item_id, sku_id = validator.text("itemId"), validator.text("skuId")
    if not sku_id:
        validator.require("itemId")
    validator.one_of("type", _ITEM_TYPES)
    quantity, amount, percent = (
        validator.quantity("quantity"),
        validator.number("amount"),
        _percent(validator),
    )
    validator.raise_errors()
    name, given_id = ("id", item_id) if item_id else ("skuId", sku_id)
    item = next((item for item in order["items"] if item[name] == given_id), None)
    if item is None:
        parameter = validator.path_of("itemId" if item_id else "skuId")
        raise bad_request("invalid_parameter", parameter, f"Item '{given_id}' not found.")
    if quantity > item["quantity"]:
        raise bad_request(
            "invalid_parameter", validator.path_of("quantity"), "The quantity exceeds the item's."
        )
    whole = proportion(line_total(item), quantity or item["quantity"], item["quantity"], order["currency"])
    item_amount = amount if amount is not None else whole * (percent or Decimal(100)) / 100
    if item_amount > amount_of(item, "availableToRefundAmount"):
        _raise_amount_too_large()
    shown: Json = {
        "itemId": item["id"],
        "skuId": item["skuId"],
        "quantity": quantity or item["quantity"],
        "amount": float(rounded(item_amount, order["currency"])),
        "refundedAmount": 0.0,
    }
    return shown | {name: requested[name] for name in ("type",) if name in requested}


def _check_available(order: Json, amount: Decimal) -> None:
    if amount <= 0:
        raise bad_request("invalid_parameter", "amount", "The amount must be greater than zero.")
    if amount > amount_of(order, "availableToRefundAmount"):
        _raise_amount_too_large()


def _raise_amount_too_large() -> None:
    raise bad_request(
        "invalid_parameter",
        "amountRequested",
        "The requested refund amount is greater than the available amount.",
    )


def _store(runtime: Runtime, order: Json, body: Json, items: list[Json], amount: Decimal) -> Json:
    """Store the refund. Its amount is no longer available to other refunds (docs, Refunds)."""
    refund: Json = {
        "id": new_id("re_"),
        "amount": float(amount),
        "createdTime": iso_time(runtime.now()),
        "currency": order["currency"],
        "items": items,
        "orderId": order["id"],
        "refundedAmount": 0.0,
        "state": "pending",
        "liveMode": runtime.settings.live_mode,
        **{name: body[name] for name in ("type", "reason") if name in body},
    }
    if "metadata" in body:
        refund["metadata"] = merged_metadata({}, body["metadata"])
    order["availableToRefundAmount"] = float(amount_of(order, "availableToRefundAmount") - amount)
    for entry in items:
        item = next(item for item in order["items"] if item["id"] == entry["itemId"])
        left = amount_of(item, "availableToRefundAmount") - (find_decimal(entry["amount"]) or Decimal(0))
        item["availableToRefundAmount"] = float(left)
    runtime.store.refunds[refund["id"]] = refund
    return refund


async def list_refunds(request: Request) -> Response:
    return list_response(request, runtime_of(request).store.refunds, _FILTERS)


async def get_refund(request: Request) -> Response:
    return JSONResponse(get_stored_refund(runtime_of(request), request.path_params["id"]))


async def update_refund(request: Request) -> Response:
    """Update metadata only."""
    runtime = runtime_of(request)
    refund = get_stored_refund(runtime, request.path_params["id"])
    validator = BodyValidator(await read_json(request), ("metadata",))
    validator.require("metadata")
    validator.raise_errors()
    previous = {"metadata": refund["metadata"]} if "metadata" in refund else {}
    refund["metadata"] = merged_metadata(refund.get("metadata"), validator.body["metadata"])
    emit(runtime, "refund.updated", refund, previous)
    return JSONResponse(refund)


routes = [
    Route("/refunds", create_refund, methods=["POST"]),
    Route("/refunds", list_refunds, methods=["GET"]),
    Route("/refunds/{id}", get_refund, methods=["GET"]),
    Route("/refunds/{id}", update_refund, methods=["POST"]),
]
