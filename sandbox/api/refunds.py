"""Refunds: asked for, pending for a moment, then paid back with a credit memo."""

from collections.abc import Mapping
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import Form, read_json
from sandbox.api.lists import Filters, answer_list, plain
from sandbox.commerce.invoices import line_total, share
from sandbox.commerce.metadata import merged_metadata
from sandbox.commerce.money import amount_of, find_decimal, rounded
from sandbox.commerce.refund_states import get_stored_refund, settle_later
from sandbox.delivery.events import emit
from sandbox.errors import bad_request
from sandbox.json_types import Json
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import stamp
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
        **plain("state", "orderId", "reason", "failureReason"),
        "skuId": lambda refund: [item.get("skuId") for item in refund["items"]],
    },
    moments=plain("createdTime"),
    numbers=plain("refundedAmount", "amount"),
)


async def create_refund(request: Request) -> Response:
    world = world_of(request)
    form = Form(await read_json(request), _KNOWN)
    form.require("orderId", "currency")
    form.one_of("type", tuple(_ORDER_TYPES))
    form.text("reason", longest=64)
    for name in ("orderId", "invoiceId", "currency"):
        form.text(name)
    amount, percent = form.number("amount"), _percent(form)
    wishes = form.objects("items")
    ways = [way for way in ("amount", "percent", "items") if form.body.get(way)]
    if len(ways) != 1:
        form.complain("amount", "Exactly one of amount, percent and items is required.")
    form.done()
    order = _refundable(world, str(form.body["orderId"]), str(form.body["currency"]))
    if ways == ["items"]:
        items = [_item(order, wish, place) for place, wish in enumerate(wishes)]
        amount = sum((amount_of(item, "amount") for item in items), Decimal(0))
    else:
        items = []
        amount = _order_amount(order, form.body.get("type"), amount, percent)
    _check_available(order, amount)
    refund = _store(world, order, form.body, items, amount)
    emit(world, "refund.pending", refund)
    settle_later(world, refund)
    return JSONResponse(refund, 201)


def _percent(form: Form) -> Decimal | None:
    percent = form.number("percent")
    if percent is not None and not Decimal("0.01") <= percent <= 100:
        form.refuse_value("percent")
    if percent is not None and form.body.get("type") == "tax" and percent != 100:
        form.complain("percent", "Tax can only be refunded as a whole.")
    return percent


def _refundable(world: World, order_id: str, currency: str) -> Json:
    order = world.ledger.orders.get(order_id)
    if order is None:
        # 404 is not among the documented answers of this call.
        raise bad_request("invalid_parameter", "orderId", f"Order '{order_id}' not found.")
    if order["state"] == "dispute":
        raise bad_request("invalid_parameter", "order", f"Order '{order_id}' is in dispute.")
    if currency != order["currency"]:
        raise bad_request("invalid_parameter", "currency", f"Currency {currency} is not supported.")
    return order


def _order_amount(order: Json, kind: str | None, amount: Decimal | None, percent: Decimal | None) -> Decimal:
    base = amount_of(order, _ORDER_TYPES[kind]) if kind else amount_of(order, "capturedAmount")
    if kind == "shipping":
        # The samples refund shipping together with its tax.
        base += sum((amount_of(item.get("shipping", {}), "taxAmount") for item in order["items"]), Decimal(0))
    wanted = amount if amount is not None else base * (percent or Decimal(0)) / 100
    if kind and wanted > base:
        _refuse_amount()
    return rounded(wanted, order["currency"])


def _item(order: Json, wish: Json, place: int) -> Json:
    """One item of the refund with its amount worked out. Raises 400 for the first bad one."""
    form = Form(wish, _KNOWN_ITEM, path=f"items[{place}]")
    item_id, sku_id = form.text("itemId"), form.text("skuId")
    if not sku_id:
        form.require("itemId")
    form.one_of("type", _ITEM_TYPES)
    quantity, amount, percent = form.quantity("quantity"), form.number("amount"), _percent(form)
    form.done()
    name, wanted_id = ("id", item_id) if item_id else ("skuId", sku_id)
    item = next((item for item in order["items"] if item[name] == wanted_id), None)
    if item is None:
        parameter = form.at("itemId" if item_id else "skuId")
        raise bad_request("invalid_parameter", parameter, f"Item '{wanted_id}' not found.")
    if quantity > item["quantity"]:
        raise bad_request("invalid_parameter", form.at("quantity"), "The quantity exceeds the item's.")
    whole = share(line_total(item), quantity or item["quantity"], item["quantity"], order["currency"])
    wanted = amount if amount is not None else whole * (percent or Decimal(100)) / 100
    if wanted > amount_of(item, "availableToRefundAmount"):
        _refuse_amount()
    shown: Json = {
        "itemId": item["id"],
        "skuId": item["skuId"],
        "quantity": quantity or item["quantity"],
        "amount": float(rounded(wanted, order["currency"])),
        "refundedAmount": 0.0,
    }
    return shown | {name: wish[name] for name in ("type",) if name in wish}


def _check_available(order: Json, amount: Decimal) -> None:
    if amount <= 0:
        raise bad_request("invalid_parameter", "amount", "The amount must be greater than zero.")
    if amount > amount_of(order, "availableToRefundAmount"):
        _refuse_amount()


def _refuse_amount() -> None:
    raise bad_request(
        "invalid_parameter",
        "amountRequested",
        "The requested refund amount is greater than the available amount.",
    )


def _store(world: World, order: Json, body: Json, items: list[Json], amount: Decimal) -> Json:
    """What is pending is no longer available to other refunds (docs, Refunds)."""
    refund: Json = {
        "id": new_id("re_"),
        "amount": float(amount),
        "createdTime": stamp(world.now()),
        "currency": order["currency"],
        "items": items,
        "orderId": order["id"],
        "refundedAmount": 0.0,
        "state": "pending",
        "liveMode": world.settings.live_mode,
        **{name: body[name] for name in ("type", "reason") if name in body},
    }
    if "metadata" in body:
        refund["metadata"] = merged_metadata({}, body["metadata"])
    order["availableToRefundAmount"] = float(amount_of(order, "availableToRefundAmount") - amount)
    for entry in items:
        item = next(item for item in order["items"] if item["id"] == entry["itemId"])
        left = amount_of(item, "availableToRefundAmount") - (find_decimal(entry["amount"]) or Decimal(0))
        item["availableToRefundAmount"] = float(left)
    world.ledger.refunds[refund["id"]] = refund
    return refund


async def list_refunds(request: Request) -> Response:
    return answer_list(request, world_of(request).ledger.refunds, _FILTERS)


async def get_refund(request: Request) -> Response:
    return JSONResponse(get_stored_refund(world_of(request), request.path_params["id"]))


async def update_refund(request: Request) -> Response:
    """Metadata only."""
    world = world_of(request)
    refund = get_stored_refund(world, request.path_params["id"])
    form = Form(await read_json(request), ("metadata",))
    form.require("metadata")
    form.done()
    previous = {"metadata": refund["metadata"]} if "metadata" in refund else {}
    refund["metadata"] = merged_metadata(refund.get("metadata"), form.body["metadata"])
    emit(world, "refund.updated", refund, previous)
    return JSONResponse(refund)


routes = [
    Route("/refunds", create_refund, methods=["POST"]),
    Route("/refunds", list_refunds, methods=["GET"]),
    Route("/refunds/{id}", get_refund, methods=["GET"]),
    Route("/refunds/{id}", update_refund, methods=["POST"]),
]
