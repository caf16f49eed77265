"""Instants as Digital River reads them: whole seconds, UTC, `Z` (API basics, data formats)."""

from datetime import UTC, datetime, timedelta


def from_instant(instant: datetime) -> str:
    """The whole second at or before an aware instant."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_instant(instant: datetime) -> str:
    """The whole second at or after an aware instant, so that an upper bound never cuts anything off."""
    return from_instant(instant + timedelta(microseconds=999_999))
