"""Limits the calls of this process to the requests per second of our key, so that a 429 is rare."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from app.digital_river.client.metrics import BUDGET_PER_SECOND, BUDGET_WAITING
from app.digital_river.errors import Throttled

WINDOW = 1.0
# A page needs several calls at once: a fifth of one second's budget may leave together.
BURST_SHARE = 5
# How much of the budget background calls may use.
BACKGROUND_SHARE = 1 / 2
# Timers fire up to one tick of the clock early.
CLOCK_SLACK = 1e-6

_Queue = deque[asyncio.Future[None]]


class Pacer:
    """Computes when the next call may leave from the calls that left before.

    No window of one second contains more than `per_second` calls, nor more than half as many background calls
    (rounded up). Beyond a small burst, the calls are spread evenly.
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._step = 1 / per_second
        self._burst = (max(per_second // BURST_SHARE, 1) - 1) * self._step
        self._recent: deque[float] = deque(maxlen=per_second)
        self._next = float("-inf")
        self._next_background = float("-inf")

    def due(self, *, background: bool) -> float:
        """The earliest instant at which the next call of this kind may leave."""
        due = self._next - self._burst
        if len(self._recent) == self.per_second:
            due = max(due, self._recent[0] + WINDOW)
        return max(due, self._next_background) if background else due

    def spend(self, now: float, *, background: bool) -> None:
        """Record that one call leaves now."""
        self._recent.append(now)
        self._next = max(self._next, now) + self._step
        if background:
            self._next_background = now + self._step / BACKGROUND_SHARE

    def used(self, now: float) -> int:
        """How many calls left during the last second."""
        return sum(left > now - WINDOW for left in self._recent)


class Budget:
    """Gives turns to call, in the order of arrival, interactive calls before background calls.

    If the owner of a turn is cancelled at the moment it is granted, the turn is lost.
    """

    def __init__(self, per_second: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._pacer = Pacer(per_second)
        self._interactive: _Queue = deque()
        self._background: _Queue = deque()
        self._timer: asyncio.TimerHandle | None = None
        BUDGET_PER_SECOND.set(per_second)

    @property
    def per_second(self) -> int:
        return self._pacer.per_second

    @property
    def used(self) -> int:
        """Calls that left during the last second."""
        return self._pacer.used(self._loop.time())

    @property
    def waiting(self) -> int:
        """Calls of both kinds in the queues."""
        return len(self._interactive) + len(self._background)

    async def take(self, *, background: bool, max_wait: float) -> None:
        """Wait for a turn, at most `max_wait` seconds.

        Raises:
            Throttled: the turn would come too late; at once if that is certain.
        """
        queue = self._background if background else self._interactive
        # A new call never overtakes a waiting one.
        if not self.waiting and self._is_due(background=background):
            self._pacer.spend(self._loop.time(), background=background)
            return
        rate = self.per_second * BACKGROUND_SHARE if background else self.per_second
        if (shortest := len(queue) / rate) > max_wait:
            raise Throttled("the budget is used up", retry_after=shortest)
        with self._enqueue(queue, background=background) as turn:
            try:
                async with asyncio.timeout(max_wait):
                    await turn
            except TimeoutError:
                raise Throttled("the budget is used up", retry_after=len(queue) / rate) from None

    @contextmanager
    def _enqueue(self, queue: _Queue, *, background: bool) -> Iterator[asyncio.Future[None]]:
        turn: asyncio.Future[None] = self._loop.create_future()
        queue.append(turn)
        self._grant_due_turns()
        gauge = BUDGET_WAITING.labels("background" if background else "interactive")
        with gauge.track_inprogress():
            try:
                yield turn
            finally:
                if turn in queue:
                    queue.remove(turn)
                    self._grant_due_turns()

    def _is_due(self, *, background: bool) -> bool:
        return self._pacer.due(background=background) <= self._loop.time() + CLOCK_SLACK

    def _grant_due_turns(self) -> None:
        """Grant each due turn to the first call in the queues, and set a timer for the next turn."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self.waiting:
            background = not self._interactive
            if not self._is_due(background=background):
                self._timer = self._loop.call_at(
                    self._pacer.due(background=background), self._grant_due_turns
                )
                return
            turn = (self._background if background else self._interactive).popleft()
            if not turn.done():
                self._pacer.spend(self._loop.time(), background=background)
                turn.set_result(None)

    def close(self) -> None:
        """Cancel the timer; no turn is granted any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
