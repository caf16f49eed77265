"""Decides what happens to an event whose handler failed.

Postpone   Digital River is busy or refuses our key, or refused a link a moment ago: handle it later; the
           attempt is not spent
Retry      it failed and may work next time: handle it after a backoff; the attempt is spent
Bury       it cannot succeed: set it aside with the reason, until an operator revives it

A 404 for an object that Digital River announced a moment ago is a Retry: with the backoff, the object has two
days to appear.
"""

import random
from dataclasses import dataclass
from datetime import timedelta

from app.db.errors import is_outage
from app.db.leases import LeaseBusy
from app.digital_river.errors import BreakerOpen, DigitalRiverError, NoConnectionFree, Throttled, Unauthorised
from app.documents.intake import UnprocessableEvent
from app.documents.links import LinkRefusedRecently
from app.webhooks.inbox import Claim

# Doubling from two seconds to six hours, this many attempts span about two days.
MAX_ATTEMPTS = 21
FIRST_DELAY = timedelta(seconds=2)
MAX_DELAY = timedelta(hours=6)
BUSY_DELAY = timedelta(seconds=2)
# An operator has to repair a wrong key. Until then no event is lost, and we seldom call Digital River.
UNAUTHORISED_DELAY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Postpone:
    """Handle it later without spending an attempt."""

    delay: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Handle it later and remember the error."""

    delay: timedelta
    error: str


@dataclass(frozen=True, slots=True)
class Bury:
    """Set it aside with the reason."""

    reason: str


Decision = Postpone | Retry | Bury


def decide(error: Exception, claim: Claim) -> Decision:
    """The decision about the event that failed with `error`."""
    reason = describe(error)
    match error:
        case UnprocessableEvent():
            return Bury(reason)
        case Throttled() | BreakerOpen() | NoConnectionFree() | LinkRefusedRecently():
            return Postpone(timedelta(seconds=error.retry_after or 0) + _with_jitter(BUSY_DELAY), reason)
        case LeaseBusy():
            return Postpone(_with_jitter(BUSY_DELAY), reason)
        case Unauthorised():
            return Postpone(_with_jitter(UNAUTHORISED_DELAY), reason)
        case _ if claim.attempts >= MAX_ATTEMPTS:
            return Bury(f"given up after {claim.attempts} attempts: {reason}")
        case _:
            return Retry(backoff(claim.attempts), reason)


def backoff(attempts: int) -> timedelta:
    """How long to wait after the given number of attempts."""
    return _with_jitter(min(MAX_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 20)))


def is_expected(error: Exception) -> bool:
    """Whether this failure can happen in normal operation; any other is a bug of ours."""
    return isinstance(error, DigitalRiverError | LeaseBusy | UnprocessableEvent | TimeoutError) or is_outage(
        error
    )


def describe(error: Exception) -> str:
    """The error as a text for operators, without secrets and personal data."""
    if isinstance(error, DigitalRiverError):
        suffix = f" (request {error.request_id})" if error.request_id else ""
        return f"{type(error).__name__}: {error}{suffix}"
    if isinstance(error, UnprocessableEvent):
        return str(error)
    return type(error).__name__


def _with_jitter(delay: timedelta) -> timedelta:
    return delay * random.uniform(0.75, 1.25)  # noqa: S311
