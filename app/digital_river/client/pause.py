"""One silence for everybody after a 429: calls made meanwhile stay blocked (API basics, rate limits)."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from app.digital_river.client.metrics import PAUSED_UNTIL, PAUSES
from app.digital_river.errors import Throttled

DEFAULT_SECONDS = 5.0
LONGEST_SECONDS = 300.0


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header (seconds or an HTTP date) as seconds from now; None when absent or unreadable."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_SECONDS)


class Pause:
    """Until when nobody calls."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = float("-inf")

    @property
    def remaining(self) -> float:
        """Seconds left, 0 when there is no pause."""
        return max(self._until - self._loop.time(), 0.0)

    @property
    def until(self) -> datetime | None:
        """When the pause ends, None when there is none."""
        return datetime.now(UTC) + timedelta(seconds=self.remaining) if self.remaining else None

    def begin(self, seconds: float | None) -> float:
        """Pause from now, unless a longer pause is on already; returns the seconds left."""
        length = DEFAULT_SECONDS if seconds is None else min(seconds, LONGEST_SECONDS)
        self._until = max(self._until, self._loop.time() + length)
        PAUSES.inc()
        PAUSED_UNTIL.set(datetime.now(UTC).timestamp() + self.remaining)
        return self.remaining

    async def sit_out(self, *, patience: float) -> None:
        """Wait until the pause is over.

        Raises:
            Throttled: at once, when that takes longer than `patience` seconds.
        """
        while remaining := self.remaining:
            if remaining > patience:
                raise Throttled("pausing after a 429", retry_after=remaining)
            began = self._loop.time()
            await asyncio.sleep(remaining)
            patience -= self._loop.time() - began
