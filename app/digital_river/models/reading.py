"""The reader's rules, in one place: unknown is ignored, null and "" are missing, numbers may come as text.

What cannot be read costs as little as is honest (`read` leaves it out and says what it was):

- an optional leaf that decides nothing (a name, a time, a count that is only shown): it counts as missing;
- an entry of a list or of a map: that entry, and whoever holds the list tells how many it lost;
- money (`Amount`), what is summed up (`Counted`) and what says whose a thing is (`Identifier`): the whole
  thing that holds it, because a wrong sum or somebody else's order is worse than none. So does whatever has
  to be there.

Texts are clean before they come here (`app.digital_river.models.tolerant_json`).
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
from app.digital_river.models.repairs import (
    ESSENTIAL,
    IDENTIFIER,
    LONGEST_IDENTIFIER,
    Misfit,
    Repairs,
    repaired,
    without_nulls,
)
from app.digital_river.models.timestamps import is_plausible
from app.digital_river.models.tolerant_json import REPLACEMENT

LONGEST_LINE = 255
# Beyond this no sum is possible, and nobody has it.
_FAR = Decimal("1e100")
# The whole numbers that every JSON reader knows apart (RFC 8259 §6).
_MOST = 2**53
# What ends a line, and what turns the direction of the text after it.
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

ModelT = TypeVar("ModelT", bound=BaseModel)
_T = TypeVar("_T")


def _in_utc(instant: datetime) -> datetime:
    # Tracking details come without an offset; everything else is UTC with `Z` (API basics, data formats).
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the first or after the last year") from None


def _plausible(instant: datetime) -> datetime:
    if is_plausible(instant):
        return instant
    raise ValueError("no time at which anything happens")


def _bare_amount(value: Any) -> Any:
    # One documented source holds {"value": "10.00", "currency": "USD"} where all others hold the number.
    return value.get("value") if isinstance(value, Mapping) else value


def _null_is_no(value: Any) -> Any:
    return False if value is None else value


def _one_line(text: str) -> str:
    return _NOT_IN_A_LINE.sub(REPLACEMENT, text[:LONGEST_LINE])


Identifier = Annotated[str, StringConstraints(max_length=LONGEST_IDENTIFIER, pattern=IDENTIFIER), ESSENTIAL]
"""What names a thing or its owner. One that needed cleaning names nothing: it could match another one."""

Line = Annotated[str, AfterValidator(_one_line)]
"""A text fit for a header or a file's name."""

AnyInstant = Annotated[datetime, AfterValidator(_in_utc)]
"""An aware UTC time from a text with 0 to 9 fraction digits (kept to the microsecond)."""

Instant = Annotated[AnyInstant, AfterValidator(_plausible)]
"""The same, of something that happens; the first and the last years are no time."""

Amount = Annotated[Decimal, BeforeValidator(_bare_amount), Field(gt=-_FAR, lt=_FAR), ESSENTIAL]
"""Money in major units, from number or text, exact to 15 digits."""

Number = Annotated[Decimal, Field(gt=-_FAR, lt=_FAR)]
"""What the official document types as `number` and is not money."""

Quantity = Annotated[int, Field(ge=-_MOST, le=_MOST)]
"""How many, from 2, 2.0 or "2"."""

Counted = Annotated[Quantity, ESSENTIAL]
"""How many, where it is added to others."""

Many = Annotated[tuple[_T, ...], BeforeValidator(without_nulls)]
"""A list; null, missing and empty are the same."""

Transitions = Annotated[dict[str, Instant], BeforeValidator(without_nulls)]
"""State name to the time it was entered."""

Flag = Annotated[bool, BeforeValidator(_null_is_no)]
"""True or not: null and missing are not."""

Metadata = dict[str, Any]


def read(model: type[ModelT], tree: Any) -> tuple[ModelT, Sequence[Misfit]]:
    """The model in this JSON, and what had to be left out of it.

    Raises:
        ValidationError: it is not there.
    """
    try:
        # Without repairs, which almost nothing needs and which cost time.
        return model.model_validate(tree), ()
    except ValidationError:
        repairs = Repairs()
        return model.model_validate(tree, context=repairs), repairs.misfits


class FarSideModel(BaseModel):
    """Something Digital River sent. Null, "" and missing are the same; enumerations are open (plain text)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    _lost: ClassVar[Mapping[str, int]] = {}

    def unreadable(self, field: str) -> int:
        """How many entries of this list or map were sent, and are not in it because they cannot be read."""
        return self._lost.get(field, 0)

    @classmethod
    def _arranged(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """What was sent, with everything where this model looks for it."""
        return {name: value for name, value in data.items() if value is not None and value != ""}

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(data, Mapping):
            return handler(data)
        told = cls._arranged(data)
        if not isinstance(info.context, Repairs):
            return handler(told)
        made, lost = repaired(cls, told, handler, info.context)
        if lost:
            # Not a field: the far side must not be able to say it.
            made.__dict__["_lost"] = lost
        return made


class Resource(FarSideModel):
    """Something with an id of its own; the id is the only thing that has to be there."""

    id_may_be_logged: ClassVar[bool] = True

    id: Identifier
    live_mode: bool | None = None


EntryT = TypeVar("EntryT")


class Listing(FarSideModel, Generic[EntryT]):
    """One page, newest first (Spec intro, pagination).

    `data` has to be there: an answer without it must not pass for an empty list.
    """

    data: Many[EntryT]
    has_more: Annotated[Flag, ESSENTIAL] = False
    last_id: str | None = None

    @property
    def next_after(self) -> str | None:
        """What to send as `starting_after` for the next page, None on the last one.

        Raises:
            Garbled: there is more, but no way to it.
        """
        if not self.has_more:
            return None
        if self.last_id is None:
            raise Garbled("a list with more to come, and no entry to go on from")
        return self.last_id

    @classmethod
    def _arranged(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        entries = without_nulls(data.get("data"))
        told = {**super()._arranged(data), "lastId": _last_id(entries)}
        return {**told, "data": entries} if "data" in data else told


def _last_id(entries: Any) -> str | None:
    """The id of the last entry that has a usable one, whether the rest of it can be read or not."""
    for entry in reversed(entries) if isinstance(entries, list) else ():
        told = entry.get("id") if isinstance(entry, Mapping) else None
        is_text = isinstance(told, str) and 0 < len(told) <= LONGEST_IDENTIFIER and REPLACEMENT not in told
        if is_text or (isinstance(told, int) and not isinstance(told, bool)):
            return str(told)
    return None
