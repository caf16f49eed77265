"""The rules by which all models read Digital River's JSON: field types, and the base class of the models.

Unknown fields are ignored, null and "" count as missing, and numbers may come as text. A value that cannot be
read is left out, and `read` reports it. How much is left out depends on the value:

- an optional value on which nothing depends (a name, a time, a count that is only shown): the value alone;
- an entry of a list or map: that entry. The model that contains the list counts its omitted entries;
- money (`Amount`), quantities that are summed (`SummedQuantity`), ids of resources and owners (`Identifier`)
  and required fields: the whole model that contains them, because a wrong sum, or the order of another
  customer, is worse than none.

Texts have been cleaned before (`app.digital_river.models.tolerant_json`).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

from app.digital_river.errors import Garbled
from app.digital_river.models.timestamps import is_plausible
from app.digital_river.models.tolerant_json import REPLACEMENT
from app.digital_river.models.tolerant_validation import (
    ESSENTIAL,
    IDENTIFIER,
    LONGEST_IDENTIFIER,
    Omission,
    OmissionLog,
    validate_with_omissions,
    without_nulls,
)

LONGEST_LINE = 255
# No price is larger, and sums of larger numbers would lose digits.
_NUMBER_LIMIT = Decimal("1e100")
# Every JSON parser can tell whole numbers up to here apart (RFC 8259 §6).
_QUANTITY_LIMIT = 2**53
# Characters that end a line, or change the direction of the text after them.
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

ModelT = TypeVar("ModelT", bound=BaseModel)
_T = TypeVar("_T")


def _to_utc(instant: datetime) -> datetime:
    # Tracking details come without an offset; everything else is UTC with `Z` (API basics, data formats).
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the first or after the last year") from None


def _require_plausible(instant: datetime) -> datetime:
    if is_plausible(instant):
        return instant
    raise ValueError("not a plausible time")


def _unwrap_amount(value: Any) -> Any:
    # One documented source has {"value": "10.00", "currency": "USD"} where all others have the number.
    return value.get("value") if isinstance(value, Mapping) else value


def _null_to_false(value: Any) -> Any:
    return False if value is None else value


def _to_single_line(text: str) -> str:
    return _NOT_IN_A_LINE.sub(REPLACEMENT, text[:LONGEST_LINE])


Identifier = Annotated[str, StringConstraints(max_length=LONGEST_IDENTIFIER, pattern=IDENTIFIER), ESSENTIAL]
"""The id of a resource or its owner. An id that was cleaned is refused: it could match another id."""

SingleLine = Annotated[str, AfterValidator(_to_single_line)]
"""A text without line ends, for a header or a file name."""

AnyInstant = Annotated[datetime, AfterValidator(_to_utc)]
"""An aware UTC time from a text with 0 to 9 fraction digits (kept to the microsecond)."""

Instant = Annotated[AnyInstant, AfterValidator(_require_plausible)]
"""The same for the time of an event: instants that are not plausible are refused."""

Amount = Annotated[
    Decimal, BeforeValidator(_unwrap_amount), Field(gt=-_NUMBER_LIMIT, lt=_NUMBER_LIMIT), ESSENTIAL
]
"""Money in major units, from a number or a text, exact to 15 digits."""

Number = Annotated[Decimal, Field(gt=-_NUMBER_LIMIT, lt=_NUMBER_LIMIT)]
"""A `number` of the official document that is not money."""

Quantity = Annotated[int, Field(ge=-_QUANTITY_LIMIT, le=_QUANTITY_LIMIT)]
"""A whole number, from 2, 2.0 or "2"."""

SummedQuantity = Annotated[Quantity, ESSENTIAL]
"""A quantity that is added to others."""

ListOf = Annotated[tuple[_T, ...], BeforeValidator(without_nulls)]
"""A list; null, missing and empty are the same. Nulls in it are dropped."""

Transitions = Annotated[dict[str, Instant], BeforeValidator(without_nulls)]
"""Name of a state to the time at which it began."""

Flag = Annotated[bool, BeforeValidator(_null_to_false)]
"""True or false; null is false."""

Metadata = dict[str, Any]


def read(model: type[ModelT], tree: Any) -> tuple[ModelT, Sequence[Omission]]:
    """The model in parsed JSON, and what had to be left out of it.

    Raises:
        ValidationError: the model itself would have to be left out.
    """
    try:
        # Almost all responses are valid, and validation without an OmissionLog is faster.
        return model.model_validate(tree), ()
    except ValidationError:
        log = OmissionLog()
        return model.model_validate(tree, context=log), log.omissions


class DigitalRiverModel(BaseModel):
    """A model of JSON from Digital River. Null, "" and missing are the same; enumerations are plain text."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    _omitted: ClassVar[Mapping[str, int]] = {}

    def unreadable(self, field: str) -> int:
        """How many entries of this list or map were left out because they cannot be read."""
        return self._omitted.get(field, 0)

    @classmethod
    def _normalized(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The data without nulls and empty texts. Models override it to move values to their fields."""
        return {name: value for name, value in data.items() if value is not None and value != ""}

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(data, Mapping):
            return handler(data)
        fields = cls._normalized(data)
        if not isinstance(info.context, OmissionLog):
            return handler(fields)
        model, omitted = validate_with_omissions(cls, fields, handler, info.context)
        if omitted:
            # Not a field: Digital River's JSON must not be able to set it.
            model.__dict__["_omitted"] = omitted
        return model


class Resource(DigitalRiverModel):
    """A resource with an id, which is its only required field."""

    id_may_be_logged: ClassVar[bool] = True

    id: Identifier
    live_mode: bool | None = None


EntryT = TypeVar("EntryT")


class Listing(DigitalRiverModel, Generic[EntryT]):
    """One page, newest first (Spec intro, pagination).

    `data` is required: a response without it must not count as an empty list.
    """

    data: ListOf[EntryT]
    has_more: Annotated[Flag, ESSENTIAL] = False
    last_id: str | None = None

    @property
    def next_after(self) -> str | None:
        """The `starting_after` of the next page, None on the last page.

        Raises:
            Garbled: there is a next page, and no entry of this page has a usable id.
        """
        if not self.has_more:
            return None
        if self.last_id is None:
            raise Garbled("a list with more pages, and no entry whose id leads to the next")
        return self.last_id

    @classmethod
    def _normalized(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        entries = without_nulls(data.get("data"))
        fields = {**super()._normalized(data), "lastId": _last_id(entries)}
        return {**fields, "data": entries} if "data" in data else fields


def _last_id(entries: Any) -> str | None:
    """The id of the last entry with a usable id, also if the rest of that entry cannot be read."""
    for entry in reversed(entries) if isinstance(entries, list) else ():
        id_ = entry.get("id") if isinstance(entry, Mapping) else None
        is_text = isinstance(id_, str) and 0 < len(id_) <= LONGEST_IDENTIFIER and REPLACEMENT not in id_
        if is_text or (isinstance(id_, int) and not isinstance(id_, bool)):
            return str(id_)
    return None
