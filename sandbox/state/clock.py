"""The sandbox's clock: the real clock plus an offset that tests set. Also the formats of times."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Runs like the real clock, from the time it was last set to."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)

    def set(self, timestamp: datetime) -> None:
        self._offset = timestamp.astimezone(UTC) - datetime.now(UTC)


def iso_time(timestamp: datetime) -> str:
    """`2021-04-07T13:47:13Z`, the usual format of resources."""
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_time_milliseconds(timestamp: datetime) -> str:
    """`2020-11-19T15:44:34.622Z`, the format of file links and webhooks in the samples."""
    timestamp = timestamp.astimezone(UTC)
    return timestamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp.microsecond // 1000:03}Z"


def iso_time_microseconds(timestamp: datetime) -> str:
    """`2021-04-28T02:04:13.591115Z`, the format of events in the samples."""
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def find_time(text: object) -> datetime | None:
    """The time in a text, or None. Only UTC with `Z` is valid (Digital River docs, data formats)."""
    if not isinstance(text, str) or not text.endswith(("Z", "z")):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
