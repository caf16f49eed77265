"""Money of an order moving after a fulfillment: captured with an invoice, or released by a cancellation."""

from collections.abc import Sequence
from decimal import Decimal

from sandbox.commerce.charge_allocation import shares_of_cancel, shares_of_capture
from sandbox.commerce.invoice_pdf import Row
from sandbox.commerce.invoices import issue, line_tax, line_total, share
from sandbox.commerce.money import amount_of, rounded
from sandbox.commerce.order_states import enter, touch
from sandbox.commerce.orders import show_charge
from sandbox.delivery.events import emit
from sandbox.json_types import Json
from sandbox.runtime.runtime import World
from sandbox.state.clock import stamp
from sandbox.state.store import new_id

Lines = Sequence[tuple[Json, int]]


def cancel(world: World, order: Json, lines: Lines, *, is_last: bool) -> None:
    """Release the lines' share of the charge at once."""
    total = _within_open(order, _sum(order, lines), is_last=is_last)
    order["cancelledAmount"] = float(amount_of(order, "cancelledAmount") + total)
    touch(world, order)
    for charge, part in shares_of_cancel(order, total):
        entry = _operation(world, part, "complete")
        charge["cancels"] = [*charge.get("cancels", []), entry]
        emit(world, "order.charge.cancel.complete", show_charge(order, charge))


def capture_later(world: World, order: Json, lines: Lines, fulfillment_id: str, *, is_last: bool) -> None:
    """Reserve now; after the capture delay the money is taken, invoiced, and may complete the order."""
    total = _within_open(order, _sum(order, lines), is_last=is_last)
    entries: list[tuple[Json, Json]] = []
    for charge, part in shares_of_capture(order, total):
        entry = _operation(world, part, "pending") | {"fulfillmentId": fulfillment_id}
        charge["captures"] = [*charge.get("captures", []), entry]
        charge["captured"] = True
        entries.append((charge, entry))

    async def complete() -> None:
        _complete(world, order, lines, total, entries)

    world.errands.after(world.settings.capture_delay, complete)


def _complete(
    world: World, order: Json, lines: Lines, total: Decimal, entries: Sequence[tuple[Json, Json]]
) -> None:
    for item, quantity in lines:
        portion = share(line_total(item), quantity, item["quantity"], order["currency"])
        item["availableToRefundAmount"] = float(amount_of(item, "availableToRefundAmount") + portion)
    order["capturedAmount"] = float(amount_of(order, "capturedAmount") + total)
    order["availableToRefundAmount"] = float(amount_of(order, "availableToRefundAmount") + total)
    touch(world, order)
    for charge, entry in entries:
        entry["state"] = "complete"
        emit(world, "order.charge.capture.complete", show_charge(order, charge))
    if order["state"] == "fulfilled" and not _open(order) and not _pending(order):
        enter(world, order, "complete")
    _invoice(world, order, lines, total)


def _invoice(world: World, order: Json, lines: Lines, total: Decimal) -> None:
    currency = order["currency"]
    rows = [
        Row(
            item["productDetails"]["name"],
            quantity,
            share(amount_of(item, "amount"), quantity, item["quantity"], currency),
        )
        for item, quantity in lines
    ]
    tax = sum((share(line_tax(item), part, item["quantity"], currency) for item, part in lines), Decimal(0))
    issue(world, order, "invoice", rows, tax, total)


def _sum(order: Json, lines: Lines) -> Decimal:
    shares = (share(line_total(item), part, item["quantity"], order["currency"]) for item, part in lines)
    return sum(shares, Decimal(0))


def _within_open(order: Json, total: Decimal, *, is_last: bool) -> Decimal:
    """The last movement takes what rounding left over, so captured and cancelled add up to the total."""
    left = _open(order) - sum((amount_of(entry, "amount") for entry in _pending(order)), Decimal(0))
    return rounded(left if is_last else min(total, left), order["currency"])


def _open(order: Json) -> Decimal:
    moved = amount_of(order, "capturedAmount") + amount_of(order, "cancelledAmount")
    return amount_of(order, "totalAmount") - moved


def _pending(order: Json) -> list[Json]:
    captures = [entry for charge in order["payment"]["charges"] for entry in charge.get("captures", [])]
    return [entry for entry in captures if entry["state"] == "pending"]


def _operation(world: World, amount: Decimal, state: str) -> Json:
    return {
        "id": new_id(),
        "createdTime": stamp(world.now()),
        "amount": float(amount),
        "state": state,
    }
