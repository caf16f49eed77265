"""Pauses all calls of a process after a 429: calls made meanwhile stay blocked (API basics, rate limits)."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from app.digital_river.client.metrics import PAUSED_UNTIL, PAUSES
from app.digital_river.errors import Throttled

DEFAULT_SECONDS = 5.0
LONGEST_SECONDS = 300.0


def parse_retry_after(retry_after: str | None) -> float | None:
    """A Retry-After header (seconds or an HTTP date) as seconds from now; None if absent or unreadable."""
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
    """The time until which no call leaves."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = float("-inf")

    @property
    def remaining(self) -> float:
        """Seconds left, 0 without a pause."""
        return max(self._until - self._loop.time(), 0.0)

    @property
    def until(self) -> datetime | None:
        """When the pause ends, None without a pause."""
        return datetime.now(UTC) + timedelta(seconds=self.remaining) if self.remaining else None

    def begin(self, seconds: float | None) -> float:
        """Begin a pause now, or keep a running one that ends later. Returns the seconds left."""
        length = DEFAULT_SECONDS if seconds is None else min(seconds, LONGEST_SECONDS)
        self._until = max(self._until, self._loop.time() + length)
        PAUSES.inc()
        PAUSED_UNTIL.set(datetime.now(UTC).timestamp() + self.remaining)
        return self.remaining

    async def wait(self, *, max_wait: float) -> None:
        """Wait until the pause is over.

        Raises:
            Throttled: at once, if that takes longer than `max_wait` seconds.
        """
        while remaining := self.remaining:
            if remaining > max_wait:
                raise Throttled("pausing after a 429", retry_after=remaining)
            began = self._loop.time()
            await asyncio.sleep(remaining)
            max_wait -= self._loop.time() - began
