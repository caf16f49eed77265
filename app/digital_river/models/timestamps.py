"""Instants as Digital River reads them: whole seconds, UTC, `Z` (API basics, data formats); and which of its
own are to be believed."""

from datetime import UTC, datetime, timedelta

# Nothing of a shop happened before computers counted time, and what ends the calendar ends nothing: kept as a
# time, its first and last instants are PostgreSQL's infinities, and no time zone can show its last days.
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(9998, 12, 31, tzinfo=UTC)


def is_plausible(instant: datetime) -> bool:
    """Whether something can have happened, or can be going to happen, at this aware instant."""
    return _EARLIEST <= instant <= _LATEST


def from_instant(instant: datetime) -> str:
    """The whole second at or before an aware instant."""
    # Not strftime, which prints the year 999 without its zero.
    return instant.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def to_instant(instant: datetime) -> str:
    """The whole second at or after an aware instant, so that an upper bound never cuts anything off."""
    try:
        return from_instant(instant + timedelta(microseconds=999_999))
    except OverflowError:
        # The last second there is.
        return from_instant(instant)
