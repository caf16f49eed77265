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
_USUAL_DECIMALS = 2
_MOST_DIGITS = 14
_FINEST = Decimal("0.000001")


def printed(amount: Decimal | None, currency: str | None) -> Decimal | None:
    """The same amount with the decimals of its currency, and more only where it has more, at most six.

    None for what nobody can owe: a hundred trillion and more.
    """
    if amount is None or not amount.is_finite() or amount.adjusted() >= _MOST_DIGITS:
        return None
    exact = amount.quantize(_FINEST)
    usual = exact.quantize(Decimal(1).scaleb(-_DECIMALS.get(currency or "", _USUAL_DECIMALS)))
    shown = usual if usual == exact else exact.normalize()
    # No buyer has ever owed minus zero.
    return shown or abs(shown)


def printed_part(part: LineTax | None, currency: str | None) -> Decimal | None:
    """The amount of a line's tax, duty, fee or shipping cost."""
    return None if part is None else printed(part.amount, currency)


def total(amounts: Iterable[Decimal | None], currency: str | None) -> Decimal | None:
    """The sum of those that are known; None when there is none, or when one of them cannot be printed."""
    known = [printed(one, currency) for one in amounts if one is not None]
    if not known or None in known:
        return None
    return printed(sum(filter(None, known), Decimal(0)), currency)
