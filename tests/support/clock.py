"""An event loop whose clock jumps to the next timer, so that minutes of waiting pass in no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


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


class _MovedClockLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(story: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end on a moved clock; only for code that waits for timers, not for sockets."""
    with asyncio.Runner(loop_factory=_MovedClockLoop) as runner:
        return runner.run(story)


def now() -> float:
    """The moved clock, in seconds."""
    return asyncio.get_running_loop().time()
