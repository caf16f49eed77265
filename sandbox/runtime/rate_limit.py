"""The rate limit per key. After too many calls, a key is blocked until `Retry-After` has passed."""

import time
from collections import deque

# Digital River docs print an integer Retry-After (example 120); the sandbox's is one second.
RETRY_AFTER = 1


class RateLimit:
    """A sliding window of one second per key, on the monotonic clock."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._admitted: dict[str, deque[float]] = {}
        self._blocked_until: dict[str, float] = {}

    def allows(self, key: str) -> bool:
        if self._per_second <= 0:
            return True
        now = time.monotonic()
        if now < self._blocked_until.get(key, 0.0):
            return False
        window = self._admitted.setdefault(key, deque())
        while window and window[0] <= now - 1.0:
            window.popleft()
        if len(window) >= self._per_second:
            self._blocked_until[key] = now + RETRY_AFTER
            return False
        window.append(now)
        return True

    def clear(self) -> None:
        self._admitted.clear()
        self._blocked_until.clear()
