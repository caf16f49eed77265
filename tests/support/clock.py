"""Time in tests: wait until something is true, and an event loop whose clock jumps to the next timer."""

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

TIMEOUT_SECONDS = 15.0

_T = TypeVar("_T")


async def eventually(find: Callable[[], Awaitable[_T]], *, within: float = TIMEOUT_SECONDS) -> _T:
    """The first truthy answer of `find`; fails when there is none in time."""
    deadline = time.monotonic() + within
    while not (found := await find()):
        assert time.monotonic() < deadline, f"not within {within} s, the last answer was {found!r}"
        await asyncio.sleep(0.01)
    return found


class _JumpingSelector(selectors.DefaultSelector):
    """Adds the time it was asked to wait to `now` instead of waiting."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits and nothing is going to happen")
        if not ready and timeout:
            self.now += timeout
        return ready


class _JumpingClockLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_on_jumping_clock(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end on a jumping clock; only for code that waits for timers, not for sockets."""
    with asyncio.Runner(loop_factory=_JumpingClockLoop) as runner:
        return runner.run(coroutine)


def now() -> float:
    """The jumping clock, in seconds."""
    return asyncio.get_running_loop().time()
