"""Amounts of money: decimals in the code, JSON numbers in major units on the wire."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

# The largest amount. Above it a JSON number cannot represent cents.
_LARGEST = Decimal(10) ** 15
_WITHOUT_MINOR_UNIT = frozenset({"JPY", "KRW", "CLP", "VND", "ISK", "HUF", "TWD"})


def find_decimal(value: object) -> Decimal | None:
    """The number in a JSON number or a numeric text (the docs' requests send both), else None.

    Also None for amounts that are too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) <= _LARGEST else None


def digits(currency: str) -> int:
    return 0 if currency in _WITHOUT_MINOR_UNIT else 2


def rounded(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-digits(currency)), ROUND_HALF_UP)


def amount_of(resource: dict[str, object], name: str) -> Decimal:
    """A money member of a stored resource, 0 if absent."""
    return find_decimal(resource.get(name)) or Decimal(0)
