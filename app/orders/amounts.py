"""Gives every amount the decimals of its currency: 26.9 dollars become 26.90, 33.0 yen become 33."""

from collections.abc import Iterable
from decimal import Decimal

from app.digital_river.models import LineTax

# ISO 4217: the currencies whose smaller unit is not a hundredth.
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DEFAULT_DECIMALS = 2
_MAX_INTEGER_DIGITS = 14
_SMALLEST_UNIT = Decimal("0.000001")


def normalize_amount(amount: Decimal | None, currency: str | None) -> Decimal | None:
    """The amount with the decimals of its currency, or with its own decimals if it has more, at most six.

    Returns None for an amount that is not finite or has more than 14 digits before the point.
    """
    if amount is None or not amount.is_finite() or amount.adjusted() >= _MAX_INTEGER_DIGITS:
        return None
    exact = amount.quantize(_SMALLEST_UNIT)
    rounded = exact.quantize(Decimal(1).scaleb(-_DECIMALS.get(currency or "", _DEFAULT_DECIMALS)))
    normalized = rounded if rounded == exact else exact.normalize()
    # Minus zero becomes zero.
    return normalized or abs(normalized)


def normalize_part(part: LineTax | None, currency: str | None) -> Decimal | None:
    """The normalized amount of a line's tax, duty, fee or shipping cost."""
    return None if part is None else normalize_amount(part.amount, currency)


def sum_amounts(amounts: Iterable[Decimal | None], currency: str | None) -> Decimal | None:
    """The sum of the known amounts; None if none is known, or if one of them cannot be normalized."""
    known = [normalize_amount(amount, currency) for amount in amounts if amount is not None]
    if not known or None in known:
        return None
    return normalize_amount(sum(filter(None, known), Decimal(0)), currency)
