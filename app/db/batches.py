"""Runs one statement for many callers: those that come while a statement runs share the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from app.db.errors import is_outage

BATCH_SIZE = 500
# A caller that comes alone is served at once. Under load this makes batches of several callers, also if the
# database answers within a millisecond.
INTERVAL_SECONDS = 0.02

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Batcher(Generic[ItemT, ResultT]):
    """Collects items, and calls `run` with many of them; `run` returns a result for each, in their order.

    One batch runs at a time. If a batch fails, its items run again one by one, so that an item that cannot
    succeed fails alone; after an outage of PostgreSQL all of them fail.
    """

    def __init__(
        self,
        run: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT]]],
        *,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        """`interval` is in seconds, from the start of one batch to that of the next."""
        self._run = run
        self._interval = interval
        self._waiting: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: ItemT) -> ResultT:
        """The result for this item. A caller that is cancelled waits until the batch with its item has ended,
        so that what it does next comes after it."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        entry = (item, result)
        self._waiting.append(entry)
        if self._runner is None:
            # In a context of its own: it outlives the caller, whose ids belong to the caller's log lines.
            self._runner = asyncio.create_task(self._run_batches(), context=Context())
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                await asyncio.wait([result])
            raise

    async def _run_batches(self) -> None:
        clock = asyncio.get_running_loop().time
        batch: Sequence[tuple[ItemT, asyncio.Future[ResultT]]] = ()
        try:
            while self._waiting:
                next_start = clock() + self._interval
                batch, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
                await self._run_batch(batch)
                await asyncio.sleep(max(0.0, next_start - clock()))
        finally:
            self._runner = None
            # If this task was cancelled, nothing will serve these callers any more.
            for _, result in (*batch, *self._waiting):
                result.cancel()
            self._waiting = []

    async def _run_batch(self, batch: Sequence[tuple[ItemT, asyncio.Future[ResultT]]]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
        except BaseException as error:
            if isinstance(error, Exception) and len(batch) > 1 and not is_outage(error):
                for entry in batch:
                    await self._run_batch([entry])
                return
            for _, result in batch:
                result.set_exception(error)
                # A caller that was cancelled twice does not fetch it.
                result.exception()
            if not isinstance(error, Exception):
                raise
            return
        for (_, result), outcome in zip(batch, results, strict=True):
            result.set_result(outcome)
