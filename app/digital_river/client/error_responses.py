"""Turns a response that is not 2xx into the error class that says how to react."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.digital_river.client.pause import DEFAULT_SECONDS, parse_retry_after
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
from app.digital_river.models.tolerant_json import read_leniently
from app.digital_river.models.tolerant_model import DigitalRiverModel, ListOf, read

MAX_ERRORS = 20
LONGEST_MESSAGE = 200


class _ErrorEntry(DigitalRiverModel):
    code: str = ""
    parameter: str = ""
    message: str = ""
    # A failed re-authorisation prints `description` instead (API basics, error format).
    description: str = ""


class _ErrorBody(DigitalRiverModel):
    errors: ListOf[_ErrorEntry] = ()


@dataclass(frozen=True)
class ErrorResponse:
    """A response that is not 2xx. `errors` is empty if the body has not the documented format."""

    status: int
    request_id: str | None
    retry_after: float | None
    errors: tuple[_ErrorEntry, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(error.code for error in self.errors)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(error.parameter for error in self.errors)

    @property
    def messages(self) -> tuple[str, ...]:
        """The messages for the log, without the values that they quote from our request."""
        return tuple(redact(error.message or error.description) for error in self.errors)


def read_error_response(status: int, headers: Mapping[str, str], body: bytes) -> ErrorResponse:
    """Read a response that is not 2xx. Its body may be anything."""
    try:
        errors = read(_ErrorBody, read_leniently(body))[0].errors
    except ValueError:
        errors = ()
    return ErrorResponse(
        status,
        headers.get("x-dr-requestid"),
        parse_retry_after(headers.get("retry-after")),
        errors[:MAX_ERRORS],
    )


def error_for(response: ErrorResponse) -> DigitalRiverError:
    """The error for a response, by status alone: texts and codes may change (API basics, error format)."""
    make = _BY_STATUS.get(response.status) or _BY_CLASS.get(response.status // 100, _unexpected)
    error = make(response)
    error.request_id = response.request_id
    return error


def _unavailable(response: ErrorResponse) -> DigitalRiverError:
    return Unavailable(f"Digital River answered {response.status}", retry_after=response.retry_after)


def _throttled(response: ErrorResponse) -> DigitalRiverError:
    seconds = DEFAULT_SECONDS if response.retry_after is None else response.retry_after
    return Throttled("too many requests", retry_after=seconds)


def _unauthorised(response: ErrorResponse) -> DigitalRiverError:
    return Unauthorised(response.status)


def _missing(response: ErrorResponse) -> DigitalRiverError:
    return Missing(response.codes)


def _conflict(response: ErrorResponse) -> DigitalRiverError:
    return ConflictingState(response.codes, response.parameters)


def _refused(response: ErrorResponse) -> DigitalRiverError:
    return Refused(response.status, response.codes, response.parameters)


def _unexpected(response: ErrorResponse) -> DigitalRiverError:
    return Garbled(f"unexpected status {response.status}")


_ErrorFactory = Callable[[ErrorResponse], DigitalRiverError]

_BY_STATUS: dict[int, _ErrorFactory] = {
    401: _unauthorised,
    403: _unauthorised,
    404: _missing,
    408: _unavailable,
    409: _conflict,
    429: _throttled,
}
_BY_CLASS: dict[int, _ErrorFactory] = {4: _refused, 5: _unavailable}

# An apostrophe inside a word is not a quotation mark: "identifier's", 'O'Brien'.
_QUOTED = re.compile(r"""(?<!\w)'.*?'(?!\w)|"[^"]*"|“[^”]*”""", re.DOTALL)
_IDENTIFYING = re.compile(r"\S*(?:://|@)\S*|\S*\d{4,}\S*")


def redact(message: str) -> str:
    """A message of Digital River with `…` for each quoted value, address, long number and URL."""
    return _IDENTIFYING.sub("…", _QUOTED.sub("'…'", message))[:LONGEST_MESSAGE]
