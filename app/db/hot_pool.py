"""A pool of bare asyncpg connections for the busiest statements.

asyncpg's own pool takes three timers, a task and a proxy for each statement: half of the CPU time to fetch a
list of documents. It is not fair either: a caller that waits may be overtaken again and again, so at full
load the slowest lists took five times the median.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any

import asyncpg

from app.db.batches import Batcher

# A server that is down refuses a connection quickly; the wait for a free connection must not take longer.
POOL_SECONDS = 3.0
# A healthy server confirms a cancelled statement or a closed connection within milliseconds.
RELEASE_SECONDS = 0.1
# Something between us and PostgreSQL may have forgotten a connection that was idle for longer.
MAX_IDLE_SECONDS = 300.0


class HotPool:
    """At most `size` connections, made by `connect` when they are needed. Callers are served in their order.

    A caller leaves its connection without an open transaction: each statement is one of its own.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int) -> None:
        self._connect = connect
        self._slots = asyncio.Semaphore(size)
        # The connections that nobody uses, and since when; the last one is taken first.
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        self._is_closed = False
        self._shared: dict[str, Batcher[Any, Any]] = {}

    @property
    def idle(self) -> int:
        """How many open connections nobody uses."""
        return len(self._idle)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for the block.

        Raises:
            TimeoutError: there was none within POOL_SECONDS.
            asyncpg.PostgresError, OSError: PostgreSQL cannot be reached, or refuses the connection.
        """
        connection = await self._take()
        try:
            yield connection
        except asyncpg.PostgresError:
            # PostgreSQL has answered, so the statement has ended.
            raise
        except BaseException:
            await _wait_until_usable(connection)
            raise
        finally:
            self._give_back(connection)

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        """All rows."""
        async with self.acquire() as connection:
            rows: list[Any] = await connection.fetch(statement, *values)
        return rows

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        """The first row; None if there is none."""
        async with self.acquire() as connection:
            return await connection.fetchrow(statement, *values)

    async def fetchrow_shared(self, statement: str, key: Any) -> Any:
        """The row for this key. Callers of the same moment share a statement: it takes an array of keys, and
        returns one row for each, in their order. With other callers before, it may wait INTERVAL_SECONDS."""
        batcher = self._shared.get(statement)
        if batcher is None:
            batcher = self._shared[statement] = Batcher(partial(self.fetch, statement))
        return await batcher.submit(key)

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """The first value of the first row; None if there is none."""
        async with self.acquire() as connection:
            return await connection.fetchval(statement, *values)

    async def execute(self, statement: str, *values: Any) -> None:
        """Run a statement that returns nothing."""
        async with self.acquire() as connection:
            await connection.execute(statement, *values)

    async def close(self) -> None:
        """Close the connections: each one when nobody uses it any more."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            await connection.close()

    async def _take(self) -> asyncpg.Connection:
        if self._idle and not self._slots.locked():
            # Nobody waits and nothing has to be opened, so no timer is needed.
            await self._slots.acquire()
            connection = self._pop_usable()
            if connection is not None:
                return connection
            self._slots.release()
        async with asyncio.timeout(POOL_SECONDS):
            await self._slots.acquire()
            try:
                return self._pop_usable() or await self._connect()
            except BaseException:
                self._slots.release()
                raise

    def _pop_usable(self) -> asyncpg.Connection | None:
        while self._idle:
            connection, since = self._idle.pop()
            if monotonic() - since < MAX_IDLE_SECONDS and not connection.is_closed():
                return connection
            connection.terminate()
        return None

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if self._is_closed:
            connection.terminate()
        elif not connection.is_closed():
            self._idle.append((connection, monotonic()))
        self._slots.release()


async def _wait_until_usable(connection: asyncpg.Connection) -> None:
    """After a time-out or a cancellation asyncpg asks the server to end the statement. If the server does not
    confirm it at once, abandon the connection."""
    try:
        await connection.reset(timeout=RELEASE_SECONDS)
    except BaseException as error:
        connection.terminate()
        if not isinstance(error, Exception):
            raise
