"""Decides whether and when a call may leave: one breaker, pause and budget for all callers of a process."""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from app.digital_river.client.breaker import Breaker, BreakerState
from app.digital_river.client.budget import Budget
from app.digital_river.client.pause import Pause
from app.digital_river.errors import Throttled


@dataclass(frozen=True)
class ClientStatus:
    """How the far side looks from this process. `retry_after` (seconds) belongs to the breaker."""

    budget_per_second: int
    used_last_second: int
    waiting: int
    paused_until: datetime | None
    breaker: BreakerState
    retry_after: float | None


class Gate:
    """The three limits in the order in which they are asked."""

    def __init__(self, requests_per_second: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._breaker = Breaker()
        self._pause = Pause()
        self._budget = Budget(requests_per_second)

    async def wait(self, *, background: bool, deadline: float) -> None:
        """Return when a call may leave; background work never sits out a pause.

        Raises:
            BreakerOpen: at once.
            Throttled: pause or queue last beyond `deadline` (the loop's clock); at once if that is certain.
        """
        while True:
            self._breaker.check()
            if background and (remaining := self._pause.remaining):
                raise Throttled("pausing after a 429", retry_after=remaining)
            await self._pause.sit_out(patience=deadline - self._loop.time())
            await self._budget.take(background=background, patience=deadline - self._loop.time())
            if not self._pause.remaining:  # one may have begun while we queued
                return

    def watch(self) -> AbstractContextManager[None]:
        """Around the call itself: the breaker learns from its end. Raises BreakerOpen."""
        return self._breaker.watch()

    def pause(self, seconds: float | None) -> float:
        """A 429 came: everybody pauses. Returns the seconds left."""
        return self._pause.begin(seconds)

    def status(self) -> ClientStatus:
        return ClientStatus(
            budget_per_second=self._budget.per_second,
            used_last_second=self._budget.used,
            waiting=self._budget.waiting,
            paused_until=self._pause.until,
            breaker=self._breaker.state,
            retry_after=self._breaker.retry_after,
        )

    def close(self) -> None:
        """No timer outlives the gate."""
        self._budget.close()
