"""Who of several charges moves how much: store credit is taken first and given back last.

Source: Digital River docs, Secondary payment sources (dossier, sources-and-dropin §3).
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from sandbox.commerce.money import amount_of
from sandbox.json_types import Json

Shares = list[tuple[Json, Decimal]]


def shares_of_capture(order: Json, total: Decimal) -> Shares:
    return _spread(order["payment"]["charges"][::-1], total, _open)


def shares_of_cancel(order: Json, total: Decimal) -> Shares:
    return _spread(order["payment"]["charges"], total, _open)


def shares_of_refund(order: Json, total: Decimal) -> Shares:
    return _spread(order["payment"]["charges"], total, _refundable)


def _spread(charges: Sequence[Json], total: Decimal, room: Callable[[Json], Decimal]) -> Shares:
    """Fill one charge after the other; the last takes the rest, even when that is nothing at all."""
    shares: Shares = []
    for charge in charges[:-1]:
        part = min(total, room(charge))
        if part:
            shares.append((charge, part))
            total -= part
    return [*shares, *((charge, total) for charge in charges[-1:] if total or not shares)]


def _open(charge: Json) -> Decimal:
    return amount_of(charge, "amount") - _moved(charge, "captures") - _moved(charge, "cancels")


def _refundable(charge: Json) -> Decimal:
    return _moved(charge, "captures") - _moved(charge, "refunds")


def _moved(charge: Json, kind: str) -> Decimal:
    entries = [entry for entry in charge.get(kind, []) if entry["state"] != "failed"]
    return sum((amount_of(entry, "amount") for entry in entries), Decimal(0))
