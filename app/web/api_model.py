"""Defines what all models of our HTTP contract have in common: camelCase, strictness, times and money.

Each concrete model has at least one example in its configuration. The tests parse every example:

    class Address(ApiModel):
        model_config = ConfigDict(json_schema_extra={"examples": [{"postalCode": "50667", "country": "DE"}]})
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.web.described_model import DescribedModel

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# asyncpg returns PostgreSQL's infinities as these values. One such row must not make a whole list unreadable.
_INFINITIES = (datetime.min, datetime.max)  # noqa: DTZ901  # they come without a zone
_MONEY_PATTERN = r"^-?\d{1,15}(\.\d{1,6})?$"
_MONEY = re.compile(_MONEY_PATTERN, re.ASCII)


class ApiModel(DescribedModel):
    """A strict, immutable model: camelCase in JSON, unknown fields refused, docstrings published."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        # We send every member, also one with its default value.
        json_schema_serialization_defaults_required=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )


def parse_instant(value: object) -> datetime:
    """The time in UTC. An infinity of PostgreSQL becomes the first or the last time that there is.

    Raises:
        ValueError: it is not a time with an offset from UTC.
    """
    if isinstance(value, datetime) and value.tzinfo is UTC:
        return value
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        value = datetime.fromisoformat(value.upper())
    if isinstance(value, datetime) and value in _INFINITIES:
        return value.replace(tzinfo=UTC)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("A time like 2026-01-31T09:30:00Z is needed, with its offset from UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("This time is out of range") from None


def _parse_money(value: object) -> Decimal:
    if isinstance(value, str) and _MONEY.fullmatch(value):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    raise ValueError("An amount is text like 12.50, with a point before the decimals")


def _format_money(amount: Decimal) -> str:
    return format(amount, "f")


Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T09:30:00Z"]}),
]
"""A time: RFC 3339 with an offset in requests, UTC with `Z` in answers. Numbers are refused."""

Money = Annotated[
    Decimal,
    BeforeValidator(_parse_money),
    PlainSerializer(_format_money, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _MONEY_PATTERN, "examples": ["12.50"]}),
]
"""An amount in the currency of a neighbouring member: a Decimal here, a decimal string in JSON."""
