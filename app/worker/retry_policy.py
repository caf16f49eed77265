"""What to do with an event that failed.

Postpone   Digital River is busy or refuses us: later, and no attempt is spent
Retry      it failed and may work next time: backoff, an attempt is spent
Bury       it cannot succeed: at once, with the reason, until an operator revives it

"Not yet" (404 on something announced a moment ago) is a Retry: the backoff gives it days.
"""

import random
from dataclasses import dataclass
from datetime import timedelta

from app.db.errors import is_outage
from app.db.leases import LeaseBusy
from app.digital_river.errors import BreakerOpen, DigitalRiverError, NoConnectionFree, Throttled, Unauthorised
from app.documents.intake import Unreadable
from app.webhooks.inbox import Claim

# Doubling from two seconds to six hours, this many attempts span about two days.
MAX_ATTEMPTS = 21
FIRST_DELAY = timedelta(seconds=2)
MAX_DELAY = timedelta(hours=6)
BUSY_DELAY = timedelta(seconds=2)
# A wrong key is for an operator to repair. Until then no event is lost, and Digital River is asked rarely.
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
    """What to do with the event that failed with `error`."""
    what = describe(error)
    match error:
        case Unreadable():
            return Bury(what)
        case Throttled() | BreakerOpen() | NoConnectionFree():
            return Postpone(timedelta(seconds=error.retry_after or 0) + _with_jitter(BUSY_DELAY), what)
        case LeaseBusy():
            return Postpone(_with_jitter(BUSY_DELAY), what)
        case Unauthorised():
            return Postpone(_with_jitter(UNAUTHORISED_DELAY), what)
        case _ if claim.attempts >= MAX_ATTEMPTS:
            return Bury(f"given up after {claim.attempts} attempts: {what}")
        case _:
            return Retry(backoff(claim.attempts), what)


def backoff(attempts: int) -> timedelta:
    """How long to wait after the given number of attempts."""
    return _with_jitter(min(MAX_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 20)))


def is_expected(error: Exception) -> bool:
    """Whether such a failure is expected; any other is a mistake of ours."""
    is_planned = isinstance(error, DigitalRiverError | LeaseBusy | Unreadable | TimeoutError)
    return is_planned or is_outage(error)


def describe(error: Exception) -> str:
    """The error in an operator's words, without anything secret or personal."""
    if isinstance(error, DigitalRiverError):
        name = f" (request {error.request_id})" if error.request_id else ""
        return f"{type(error).__name__}: {error}{name}"
    if isinstance(error, Unreadable):
        return str(error)
    return type(error).__name__


def _with_jitter(delay: timedelta) -> timedelta:
    return delay * random.uniform(0.75, 1.25)  # noqa: S311
