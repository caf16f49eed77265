"""The states of refunds: paid back with a credit memo, waiting for bank data, failed or expired."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.commerce.charge_allocation import Allocation, allocate_refund
from sandbox.commerce.invoice_pdf import Row
from sandbox.commerce.invoices import issue_document, proportion
from sandbox.commerce.money import amount_of
from sandbox.commerce.order_states import mark_updated
from sandbox.commerce.orders import show_charge, show_order
from sandbox.delivery.events import emit
from sandbox.errors import conflict, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time, iso_time_milliseconds
from sandbox.state.store import new_id

# Digital River docs, Refunds: customers have thirty days for their bank data.
_DAYS_FOR_BANK_DATA = 30
_NEXT: Mapping[str, tuple[str, ...]] = {
    "pending": ("pending_information", "succeeded", "failed"),
    "pending_information": ("pending", "succeeded", "failed", "expired"),
}


def settle_refund_later(runtime: Runtime, refund: Json) -> None:
    """After the capture delay, give a pending refund the state that `UndocumentedBehaviour` has now."""
    outcome = runtime.undocumented_behaviour.refund_outcome

    async def settle() -> None:
        if refund["state"] == "pending" != outcome:
            change_refund_state(runtime, refund, outcome)

    runtime.background_tasks.run_after(runtime.settings.capture_delay, settle)


def change_refund_state(
    runtime: Runtime,
    refund: Json,
    state: str,
    failure_reason: str | None = None,
    *,
    expires: datetime | None = None,
) -> None:
    """Change the state and emit the events. Raises 409 `invalid_state` if the change is not allowed.

    `expires`: the time until which the buyer may give bank data, for `pending_information`.
    """
    if state not in _NEXT.get(refund["state"], ()):
        message = f"Refund '{refund['id']}' cannot go from {refund['state']} to {state}."
        raise conflict("invalid_state", message, "state")
    refund["state"] = state
    order = runtime.store.orders[refund["orderId"]]
    if state == "pending_information":
        expires = expires or runtime.now() + timedelta(days=_DAYS_FOR_BANK_DATA)
        refund["tokenInformation"] = {"token": new_id(), "expiresTime": iso_time_milliseconds(expires)}
        allocation = allocate_refund(order, amount_of(refund, "amount"))
        _set_refund_charges(runtime, refund, allocation, state)
        emit(runtime, "refund.pending_information", refund)
        return
    refund.pop("tokenInformation", None)
    if state == "succeeded":
        _succeed(runtime, order, refund)
    elif state == "pending":
        emit(runtime, "refund.pending", refund)
    else:
        _fail(runtime, order, refund, failure_reason)


def _succeed(runtime: Runtime, order: Json, refund: Json) -> None:
    amount = amount_of(refund, "amount")
    refund["refundedAmount"] = refund["amount"]
    for entry in refund["items"]:
        entry["refundedAmount"] = entry["amount"]
    order["refundedAmount"] = float(amount_of(order, "refundedAmount") + amount)
    mark_updated(runtime, order)
    allocation = _add_to_charges(runtime, order, refund, "complete")
    emit(runtime, "refund.complete", refund)
    for charge, _ in allocation:
        emit(runtime, "order.charge.refund.complete", show_charge(order, charge))
    emit(runtime, "order.refunded", show_order(order))
    _issue_credit_memo(runtime, order, refund, amount)


def _fail(runtime: Runtime, order: Json, refund: Json, reason: str | None) -> None:
    """Make the amount available again. The event of the charge has the order as its object (docs sample)."""
    refund["failureReason"] = reason or "The refund could not be processed."
    order["availableToRefundAmount"] = float(
        amount_of(order, "availableToRefundAmount") + amount_of(refund, "amount")
    )
    items = {item["id"]: item for item in order["items"]}
    for entry in refund["items"]:
        item = items[entry["itemId"]]
        item["availableToRefundAmount"] = float(
            amount_of(item, "availableToRefundAmount") + amount_of(entry, "amount")
        )
    mark_updated(runtime, order)
    _add_to_charges(runtime, order, refund, "failed")
    emit(runtime, "refund.failed", refund)
    emit(runtime, "order.charge.refund.failed", show_order(order))


def _add_to_charges(runtime: Runtime, order: Json, refund: Json, state: str) -> Allocation:
    """Add the refund to the charges of the order. The ids differ, as documented."""
    allocation = allocate_refund(order, amount_of(refund, "amount"))
    _set_refund_charges(runtime, refund, allocation, state)
    for charge, part in allocation:
        entry = {"id": new_id(), **_refund_entry(runtime, part, state)}
        charge["refunds"] = [*charge.get("refunds", []), entry]
        charge["refunded"] = charge["refunded"] or state == "complete"
    return allocation


def _set_refund_charges(runtime: Runtime, refund: Json, allocation: Allocation, state: str) -> None:
    """Set the charges of the refund: those that pay it, each with its part."""
    names = ("id", "captured", "sourceId")
    refund["charges"] = [
        {
            **{name: charge[name] for name in names},
            "refunded": charge["refunded"] or state == "complete",
            "refunds": [_refund_entry(runtime, part, state)],
        }
        for charge, part in allocation
    ]


def _refund_entry(runtime: Runtime, amount: Decimal, state: str) -> Json:
    return {"createdTime": iso_time(runtime.now()), "amount": float(amount), "state": state}


def _issue_credit_memo(runtime: Runtime, order: Json, refund: Json, amount: Decimal) -> None:
    """The tax on the credit memo is in proportion to the tax of the order."""
    items = {item["id"]: item["productDetails"]["name"] for item in order["items"]}
    names = [items[entry["itemId"]] for entry in refund["items"]] or list(items.values())
    quantities = [entry["quantity"] for entry in refund["items"]] or [
        item["quantity"] for item in order["items"]
    ]
    total = amount_of(order, "totalAmount")
    cents = int(amount * 100)
    tax = proportion(amount_of(order, "totalTax"), cents, int(total * 100), order["currency"])
    rows = [
        Row(name, quantity, part)
        for name, quantity, part in zip(
            names, quantities, _equal_parts(amount - tax, len(names)), strict=True
        )
    ]
    issue_document(runtime, order, "credit_memo", rows, tax, amount)


def _equal_parts(amount: Decimal, count: int) -> list[Decimal]:
    """Equal parts in whole minor units. The first part takes the remainder."""
    part = (amount / count).quantize(amount)
    return [amount - part * (count - 1), *[part] * (count - 1)]


def get_stored_refund(runtime: Runtime, resource_id: str) -> Json:
    refund = runtime.store.refunds.get(resource_id)
    if refund is None:
        raise not_found("Refund", resource_id)
    return refund
