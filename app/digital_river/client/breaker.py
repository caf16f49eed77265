"""Stops asking a far side that does not answer, and finds out gently when it does again."""

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

_DICE = random.SystemRandom()


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "halfOpen"


class Breaker:
    """Closed: everybody calls. Open: nobody, for a cool-down. Half-open: one probe at a time decides.

    It opens after `FAILURES_TO_OPEN` Unavailable in a row. Each failed probe doubles the cool-down, up to
    `LONGEST_COOL_DOWN`; the first good answer to a probe closes it. Any other error is a good answer here.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._failures = 0
        self._cool_down = FIRST_COOL_DOWN
        self._open_until: float | None = None
        self._probing = False
        BREAKER_OPEN.set(0)

    @property
    def state(self) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._loop.time() < self._open_until else BreakerState.HALF_OPEN

    @property
    def retry_after(self) -> float | None:
        """Seconds until somebody may try, None when everybody may now."""
        if self._open_until is None:
            return None
        cooling = self._open_until - self._loop.time()
        return max(cooling, PROBE_SECONDS if self._probing else 0.0) or None

    def check(self) -> None:
        """Raises BreakerOpen when `watch` would: ask before waiting for anything."""
        if (retry_after := self.retry_after) is not None:
            raise BreakerOpen(retry_after)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Around one call: lets it pass and learns from its end. A cancelled call teaches nothing.

        Raises:
            BreakerOpen: the call may not be made.
        """
        self.check()
        is_probe = self._open_until is not None
        self._probing = self._probing or is_probe
        try:
            yield
        except Unavailable:
            self._learn(is_probe, is_well=False)
            raise
        except DigitalRiverError:
            self._learn(is_probe, is_well=True)
            raise
        else:
            self._learn(is_probe, is_well=True)
        finally:
            if is_probe:
                self._probing = False

    def _learn(self, is_probe: bool, *, is_well: bool) -> None:
        if self._open_until is not None and not is_probe:
            return  # It left before the breaker opened and says nothing about now.
        if is_well:
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
        self._open_until = self._loop.time() + self._cool_down * _DICE.uniform(0.75, 1.25)
        self._cool_down = min(2 * self._cool_down, LONGEST_COOL_DOWN)
        BREAKER_OPEN.set(1)
        BREAKER_OPENINGS.inc()
