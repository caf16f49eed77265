"""Formats instants for Digital River (whole seconds, UTC, `Z`: API basics, data formats), and finds its
implausible ones."""

from datetime import UTC, datetime, timedelta

# No event of a shop is older than 1970, and the end of the calendar means "never". PostgreSQL reads
# the first and the last instant as infinities, and the last days do not exist in all time zones.
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(9998, 12, 31, tzinfo=UTC)


def is_plausible(instant: datetime) -> bool:
    """Whether an event in a shop can have, or will have, this aware instant."""
    return _EARLIEST <= instant <= _LATEST


def format_floor(instant: datetime) -> str:
    """The whole second at or before an aware instant."""
    # Not strftime, which prints the year 999 without its zero.
    return instant.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def format_ceiling(instant: datetime) -> str:
    """The whole second at or after an aware instant, so that an upper bound excludes no instant before it."""
    try:
        return format_floor(instant + timedelta(microseconds=999_999))
    except OverflowError:
        # The last second of the calendar.
        return format_floor(instant)
