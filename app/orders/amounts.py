"""Amounts as a shop prints them: "26.9" dollars are 26.90, "33.0" yen are 33."""

from collections.abc import Iterable
from decimal import Decimal

from app.digital_river.models import LineTax

# ISO 4217: currencies whose smaller unit is not a hundredth.
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DEFAULT_DECIMALS = 2
_MAX_INTEGER_DIGITS = 14
_SMALLEST_UNIT = Decimal("0.000001")


def normalize_amount(amount: Decimal | None, currency: str | None) -> Decimal | None:
    """The same amount with the decimals of its currency, and more only where it has more, at most six.

    None for what nobody can owe: a hundred trillion and more.
    """
    if amount is None or not amount.is_finite() or amount.adjusted() >= _MAX_INTEGER_DIGITS:
        return None
    exact = amount.quantize(_SMALLEST_UNIT)
    usual = exact.quantize(Decimal(1).scaleb(-_DECIMALS.get(currency or "", _DEFAULT_DECIMALS)))
    shown = usual if usual == exact else exact.normalize()
    # No buyer has ever owed minus zero.
    return shown or abs(shown)


def normalize_part(part: LineTax | None, currency: str | None) -> Decimal | None:
    """The amount of a line's tax, duty, fee or shipping cost."""
    return None if part is None else normalize_amount(part.amount, currency)


def sum_amounts(amounts: Iterable[Decimal | None], currency: str | None) -> Decimal | None:
    """The sum of those that are known; None when there is none, or when one of them cannot be printed."""
    known = [normalize_amount(one, currency) for one in amounts if one is not None]
    if not known or None in known:
        return None
    return normalize_amount(sum(filter(None, known), Decimal(0)), currency)
