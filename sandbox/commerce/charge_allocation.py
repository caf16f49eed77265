"""Splits an amount between the charges of an order: store credit is captured first and refunded last.

Source: Digital River docs, Secondary payment sources.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from sandbox.commerce.money import amount_of
from sandbox.json_types import Json

Allocation = list[tuple[Json, Decimal]]


def allocate_capture(order: Json, total: Decimal) -> Allocation:
    return _allocate(order["payment"]["charges"][::-1], total, _open_amount)


def allocate_cancellation(order: Json, total: Decimal) -> Allocation:
    return _allocate(order["payment"]["charges"], total, _open_amount)


def allocate_refund(order: Json, total: Decimal) -> Allocation:
    return _allocate(order["payment"]["charges"], total, _refundable_amount)


def _allocate(charges: Sequence[Json], total: Decimal, available: Callable[[Json], Decimal]) -> Allocation:
    """Fill one charge after the other. The last one takes the rest, also if the rest is 0."""
    allocation: Allocation = []
    for charge in charges[:-1]:
        part = min(total, available(charge))
        if part:
            allocation.append((charge, part))
            total -= part
    return [*allocation, *((charge, total) for charge in charges[-1:] if total or not allocation)]


def _open_amount(charge: Json) -> Decimal:
    return amount_of(charge, "amount") - _moved_amount(charge, "captures") - _moved_amount(charge, "cancels")


def _refundable_amount(charge: Json) -> Decimal:
    return _moved_amount(charge, "captures") - _moved_amount(charge, "refunds")


def _moved_amount(charge: Json, member: str) -> Decimal:
    entries = [entry for entry in charge.get(member, []) if entry["state"] != "failed"]
    return sum((amount_of(entry, "amount") for entry in entries), Decimal(0))
