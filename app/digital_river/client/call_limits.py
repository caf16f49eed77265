"""Decides whether and when a call may leave. All calls of a process share these limits.

They are the circuit breaker, the pause after a 429, the request budget of the key, and the connections.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from app.digital_river.client.budget import Budget
from app.digital_river.client.circuit_breaker import BreakerState, CircuitBreaker
from app.digital_river.client.pause import Pause
from app.digital_river.errors import NoConnectionFree, Throttled


@dataclass(frozen=True)
class ClientStatus:
    """The limits at this moment. `retry_after` (seconds) is the circuit breaker's."""

    budget_per_second: int
    used_last_second: int
    waiting: int
    paused_until: datetime | None
    breaker: BreakerState
    retry_after: float | None


class CallLimits:
    """Circuit breaker, pause and budget, checked in this order."""

    def __init__(self, requests_per_second: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._breaker = CircuitBreaker()
        self._pause = Pause()
        self._budget = Budget(requests_per_second)

    async def wait(self, *, background: bool, deadline: float) -> None:
        """Wait until a call may leave. Background work does not wait for the end of a pause.

        Raises:
            BreakerOpen: the circuit breaker is open.
            Throttled: pause or queue last beyond `deadline` (the loop's clock); at once if that is certain.
        """
        while True:
            self._breaker.check()
            if background and (remaining := self._pause.remaining):
                raise Throttled("pausing after a 429", retry_after=remaining)
            await self._pause.wait(max_wait=deadline - self._loop.time())
            await self._budget.take(background=background, max_wait=deadline - self._loop.time())
            if not self._pause.remaining:  # a pause may have begun while this call queued
                return

    def watch(self) -> AbstractContextManager[None]:
        """Around the call itself: the circuit breaker records how it ends. Raises BreakerOpen."""
        return self._breaker.watch()

    def pause(self, seconds: float | None) -> float:
        """Pause all calls after a 429. Returns the seconds left."""
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
        """Cancel the timer of the budget."""
        self._budget.close()


class ConnectionLimit:
    """How many calls may run at the same time: as many as the connection pool of aiohttp holds.

    So no call waits in that pool, where a wait for a free connection and a wait for Digital River's answer to
    a SYN look the same. Background calls get at most three quarters of the connections: buyers find one free.
    """

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)
        self._free_for_background = asyncio.Semaphore(max(1, limit * 3 // 4))

    @asynccontextmanager
    async def acquire(self, *, background: bool, max_wait: float) -> AsyncIterator[None]:
        """A connection for the block.

        Raises:
            NoConnectionFree: none became free within `max_wait` seconds.
        """
        limits = (self._free_for_background, self._free) if background else (self._free,)
        await _acquire_all(limits, max_wait)
        try:
            yield
        finally:
            for limit in limits:
                limit.release()


async def _acquire_all(limits: Sequence[asyncio.Semaphore], max_wait: float) -> None:
    if not any(limit.locked() for limit in limits):
        # The usual case needs no timer: none of these waits.
        for limit in limits:
            await limit.acquire()
        return
    async with AsyncExitStack() as acquired:
        try:
            async with asyncio.timeout(max_wait):
                for limit in limits:
                    await acquired.enter_async_context(limit)
        except TimeoutError:
            raise NoConnectionFree from None
        acquired.pop_all()
