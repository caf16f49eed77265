"""The reader's rules, in one place: unknown is ignored, null is missing, numbers may come as text."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class FarSideModel(BaseModel):
    """Something Digital River sent. Null and missing mean the same; enumerations are open (plain text)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None}


class Resource(FarSideModel):
    """Something with an id of its own; the id is the only thing that has to be there."""

    id: str
    live_mode: bool | None = None


def _in_utc(instant: datetime) -> datetime:
    # Tracking details come without an offset; everything else is UTC with `Z` (API basics, data formats).
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time is out of range") from None


def _bare_amount(value: Any) -> Any:
    # One documented source holds {"value": "10.00", "currency": "USD"} where all others hold the number.
    return value.get("value") if isinstance(value, Mapping) else value


def _null_is_no(value: Any) -> Any:
    return False if value is None else value


def _without_nulls(value: Any) -> Any:
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if item is not None}
    return [item for item in value if item is not None] if isinstance(value, list | tuple) else value


_T = TypeVar("_T")

Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""An aware UTC time from a text with 0 to 9 fraction digits (kept to the microsecond)."""

Amount = Annotated[Decimal, BeforeValidator(_bare_amount)]
"""Money in major units, from number or text, exact to 15 digits."""

Many = Annotated[tuple[_T, ...], BeforeValidator(_without_nulls)]
"""A list; null, missing and empty are the same."""

Transitions = Annotated[dict[str, Instant], BeforeValidator(_without_nulls)]
"""State name to the time it was entered."""

Flag = Annotated[bool, BeforeValidator(_null_is_no)]
"""True or not: null and missing are not."""

Metadata = dict[str, Any]

ResourceT = TypeVar("ResourceT", bound=Resource)


class Listing(BaseModel, Generic[ResourceT]):
    """One page, newest first (Spec intro, pagination).

    `data` has to be there: an answer without it must not pass for an empty list.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)

    data: Many[ResourceT]
    has_more: Flag = False

    @property
    def next_after(self) -> str | None:
        """What to send as `starting_after` for the next page, None on the last one."""
        return self.data[-1].id if self.has_more and self.data else None
