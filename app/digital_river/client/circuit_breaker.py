"""Stops calls while Digital River does not answer, and lets single probes test whether it does again."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from app.digital_river.client.metrics import BREAKER_OPEN, BREAKER_OPENINGS
from app.digital_river.errors import BreakerOpen, DigitalRiverError, Unavailable

FAILURES_TO_OPEN = 8
FIRST_COOL_DOWN = 2.0
LONGEST_COOL_DOWN = 30.0
PROBE_SECONDS = 1.0

_RANDOM = random.SystemRandom()


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "halfOpen"


class CircuitBreaker:
    """Closed: all calls pass. Open: no call passes during a cool-down. Half-open: one probe at a time passes.

    It opens after `FAILURES_TO_OPEN` Unavailable in a row. Each failed probe doubles the cool-down, up to
    `LONGEST_COOL_DOWN`; the first successful probe closes it. Errors other than Unavailable count as success.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._failures = 0
        self._cool_down = FIRST_COOL_DOWN
        self._open_until: float | None = None
        self._probe_running = False
        BREAKER_OPEN.set(0)

    @property
    def state(self) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._loop.time() < self._open_until else BreakerState.HALF_OPEN

    @property
    def retry_after(self) -> float | None:
        """Seconds until a call may pass, None if it may now."""
        if self._open_until is None:
            return None
        cooling = self._open_until - self._loop.time()
        return max(cooling, PROBE_SECONDS if self._probe_running else 0.0) or None

    def check(self) -> None:
        """Raise BreakerOpen if `watch` would. Callers check before they wait for another limit."""
        if (retry_after := self.retry_after) is not None:
            raise BreakerOpen(retry_after)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Around one call: lets it pass and records how it ends. A cancelled call does not count.

        Raises:
            BreakerOpen: the call may not be sent.
        """
        self.check()
        is_probe = self._open_until is not None
        self._probe_running = self._probe_running or is_probe
        try:
            yield
        except Unavailable:
            self._record(is_probe, succeeded=False)
            raise
        except DigitalRiverError:
            self._record(is_probe, succeeded=True)
            raise
        else:
            self._record(is_probe, succeeded=True)
        finally:
            if is_probe:
                self._probe_running = False

    def _record(self, is_probe: bool, *, succeeded: bool) -> None:
        if self._open_until is not None and not is_probe:
            return  # The call left before the breaker opened, so its result is out of date.
        if succeeded:
            self._failures = 0
            self._cool_down = FIRST_COOL_DOWN
            self._open_until = None
            BREAKER_OPEN.set(0)
            return
        self._failures += 1
        if is_probe or self._failures >= FAILURES_TO_OPEN:
            self._open()

    def _open(self) -> None:
        # Jitter keeps the processes that share a key from probing in step.
        self._open_until = self._loop.time() + self._cool_down * _RANDOM.uniform(0.75, 1.25)
        self._cool_down = min(2 * self._cool_down, LONGEST_COOL_DOWN)
        BREAKER_OPEN.set(1)
        BREAKER_OPENINGS.inc()
