"""Turns an answer that is not 2xx into the error that says what to do about it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.digital_river.client.pause import DEFAULT_SECONDS, seconds_of
from app.digital_river.errors import (
    ConflictingState,
    DigitalRiverError,
    Garbled,
    Missing,
    Refused,
    Throttled,
    Unauthorised,
    Unavailable,
)
from app.digital_river.models.reading import FarSideModel, Many, read
from app.digital_river.models.tolerant_json import read_leniently

MOST_ERRORS = 20
LONGEST_MESSAGE = 200


class _Error(FarSideModel):
    code: str = ""
    parameter: str = ""
    message: str = ""
    # A failed re-authorisation prints `description` instead (API basics, error format).
    description: str = ""


class _Errors(FarSideModel):
    errors: Many[_Error] = ()


@dataclass(frozen=True)
class Answer:
    """What is left of an answer that is not 2xx; `errors` is empty when the body is no documented error."""

    status: int
    request_id: str | None
    retry_after: float | None
    errors: tuple[_Error, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(error.code for error in self.errors)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(error.parameter for error in self.errors)

    @property
    def messages(self) -> tuple[str, ...]:
        """The messages without what they quote from our request, fit for a log."""
        return tuple(scrubbed(error.message or error.description) for error in self.errors)


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read an answer that is not 2xx; anything may stand in its body."""
    try:
        errors = read(_Errors, read_leniently(body))[0].errors
    except ValueError:
        errors = ()
    return Answer(
        status, headers.get("x-dr-requestid"), seconds_of(headers.get("retry-after")), errors[:MOST_ERRORS]
    )


def error_of(answer: Answer) -> DigitalRiverError:
    """The error for an answer, by its status alone (API basics, error format): texts and codes may change."""
    make = _BY_STATUS.get(answer.status) or _BY_CLASS.get(answer.status // 100, _unexpected)
    error = make(answer)
    error.request_id = answer.request_id
    return error


def _unavailable(answer: Answer) -> DigitalRiverError:
    return Unavailable(f"the far side answered {answer.status}", retry_after=answer.retry_after)


def _throttled(answer: Answer) -> DigitalRiverError:
    seconds = DEFAULT_SECONDS if answer.retry_after is None else answer.retry_after
    return Throttled("too many requests", retry_after=seconds)


def _unauthorised(answer: Answer) -> DigitalRiverError:
    return Unauthorised(answer.status)


def _missing(answer: Answer) -> DigitalRiverError:
    return Missing(answer.codes)


def _conflict(answer: Answer) -> DigitalRiverError:
    return ConflictingState(answer.codes, answer.parameters)


def _refused(answer: Answer) -> DigitalRiverError:
    return Refused(answer.status, answer.codes, answer.parameters)


def _unexpected(answer: Answer) -> DigitalRiverError:
    return Garbled(f"unexpected status {answer.status}")


_Maker = Callable[[Answer], DigitalRiverError]

_BY_STATUS: dict[int, _Maker] = {
    401: _unauthorised,
    403: _unauthorised,
    404: _missing,
    408: _unavailable,
    409: _conflict,
    429: _throttled,
}
_BY_CLASS: dict[int, _Maker] = {4: _refused, 5: _unavailable}

# An apostrophe inside a word is no quotation mark: "identifier's", 'O'Brien'.
_QUOTED = re.compile(r"""(?<!\w)'.*?'(?!\w)|"[^"]*"|“[^”]*”""", re.DOTALL)
_TELLTALE = re.compile(r"\S*(?:://|@)\S*|\S*\d{4,}\S*")


def scrubbed(message: str) -> str:
    """A far-side message without what it quotes: values, addresses, long numbers and URLs become `…`."""
    return _TELLTALE.sub("…", _QUOTED.sub("'…'", message))[:LONGEST_MESSAGE]
