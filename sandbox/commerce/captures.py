"""The money of an order after a fulfillment: captured with an invoice, or released by a cancellation."""

from collections.abc import Sequence
from decimal import Decimal

from sandbox.commerce.charge_allocation import allocate_cancellation, allocate_capture
from sandbox.commerce.invoice_pdf import Row
from sandbox.commerce.invoices import issue_document, line_tax, line_total, proportion
from sandbox.commerce.money import amount_of, rounded
from sandbox.commerce.order_states import enter_state, mark_updated
from sandbox.commerce.orders import show_charge
from sandbox.delivery.events import emit
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time
from sandbox.state.store import new_id

Lines = Sequence[tuple[Json, int]]


def cancel_lines(runtime: Runtime, order: Json, lines: Lines, *, is_last: bool) -> None:
    """Release the amount of the lines at once."""
    total = _limit_to_open(order, _total_of(order, lines), is_last=is_last)
    order["cancelledAmount"] = float(amount_of(order, "cancelledAmount") + total)
    mark_updated(runtime, order)
    for charge, part in allocate_cancellation(order, total):
        entry = _charge_entry(runtime, part, "complete")
        charge["cancels"] = [*charge.get("cancels", []), entry]
        emit(runtime, "order.charge.cancel.complete", show_charge(order, charge))


def capture_lines_later(
    runtime: Runtime, order: Json, lines: Lines, fulfillment_id: str, *, is_last: bool
) -> None:
    """Add pending captures now. After the capture delay, capture, invoice and maybe complete the order."""
    total = _limit_to_open(order, _total_of(order, lines), is_last=is_last)
    entries: list[tuple[Json, Json]] = []
    for charge, part in allocate_capture(order, total):
        entry = _charge_entry(runtime, part, "pending") | {"fulfillmentId": fulfillment_id}
        charge["captures"] = [*charge.get("captures", []), entry]
        charge["captured"] = True
        entries.append((charge, entry))

    async def complete() -> None:
        _complete(runtime, order, lines, total, entries)

    runtime.background_tasks.run_after(runtime.settings.capture_delay, complete)


def _complete(
    runtime: Runtime, order: Json, lines: Lines, total: Decimal, entries: Sequence[tuple[Json, Json]]
) -> None:
    for item, quantity in lines:
        portion = proportion(line_total(item), quantity, item["quantity"], order["currency"])
        item["availableToRefundAmount"] = float(amount_of(item, "availableToRefundAmount") + portion)
    order["capturedAmount"] = float(amount_of(order, "capturedAmount") + total)
    order["availableToRefundAmount"] = float(amount_of(order, "availableToRefundAmount") + total)
    mark_updated(runtime, order)
    for charge, entry in entries:
        entry["state"] = "complete"
        emit(runtime, "order.charge.capture.complete", show_charge(order, charge))
    if order["state"] == "fulfilled" and not _open_amount(order) and not _pending_captures(order):
        enter_state(runtime, order, "complete")
    _invoice(runtime, order, lines, total)


def _invoice(runtime: Runtime, order: Json, lines: Lines, total: Decimal) -> None:
    currency = order["currency"]
    rows = [
        Row(
            item["productDetails"]["name"],
            quantity,
            proportion(amount_of(item, "amount"), quantity, item["quantity"], currency),
        )
        for item, quantity in lines
    ]
    tax = sum(
        (proportion(line_tax(item), part, item["quantity"], currency) for item, part in lines), Decimal(0)
    )
    issue_document(runtime, order, "invoice", rows, tax, total)


def _total_of(order: Json, lines: Lines) -> Decimal:
    shares = (proportion(line_total(item), part, item["quantity"], order["currency"]) for item, part in lines)
    return sum(shares, Decimal(0))


def _limit_to_open(order: Json, total: Decimal, *, is_last: bool) -> Decimal:
    """The last lines take the rounding difference, so that captured and cancelled add up to the total."""
    left = _open_amount(order) - sum(
        (amount_of(entry, "amount") for entry in _pending_captures(order)), Decimal(0)
    )
    return rounded(left if is_last else min(total, left), order["currency"])


def _open_amount(order: Json) -> Decimal:
    moved = amount_of(order, "capturedAmount") + amount_of(order, "cancelledAmount")
    return amount_of(order, "totalAmount") - moved


def _pending_captures(order: Json) -> list[Json]:
    captures = [entry for charge in order["payment"]["charges"] for entry in charge.get("captures", [])]
    return [entry for entry in captures if entry["state"] == "pending"]


def _charge_entry(runtime: Runtime, amount: Decimal, state: str) -> Json:
    return {
        "id": new_id(),
        "createdTime": iso_time(runtime.now()),
        "amount": float(amount),
        "state": state,
    }
