"""Work that continues after its request: delayed captures, deliveries and their retries."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

_log = logging.getLogger("sandbox.background_tasks")


class BackgroundTasks:
    """Runs coroutines in the background. Leaving the context, or `cancel_all`, cancels the running ones."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cancel_all()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def run_after(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Call `work` after `seconds` of the real clock."""

        async def wait_then_work() -> None:
            await asyncio.sleep(seconds)
            await work()

        self.start(wait_then_work())

    async def cancel_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a background task failed", exc_info=error)
