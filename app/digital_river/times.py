"""Instants as Digital River reads them: whole seconds, UTC, `Z` (API basics, data formats)."""

from datetime import UTC, datetime, timedelta


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
