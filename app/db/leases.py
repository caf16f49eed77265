"""One doer at a time across all processes, without holding a connection while it works."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.schema import metadata

POLL_SECONDS = 0.05

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", UUID(as_uuid=True), nullable=False),
    sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
)


class LeaseBusy(Exception):
    """Somebody else holds the lease, and the caller's patience has run out."""


class Leases:
    """Named leases in PostgreSQL. A holder that dies loses its lease when its seconds run out."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Callers of one process queue here, so that only one of them asks the database again and again.
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, name: str, *, seconds: float, patience: float) -> AsyncIterator[datetime]:
        """Hold `name` for the block, cut off after `seconds`; yields the database's time of taking it.

        Raises:
            LeaseBusy: it was not to be had within `patience` seconds.
            TimeoutError: the block took longer than the lease lasts.
        """
        queue = self._queues.setdefault(name, asyncio.Lock())
        holder = uuid.uuid4()
        try:
            async with asyncio.timeout(patience) as waiting:
                await queue.acquire()
                try:
                    now = await self._claim_patiently(name, holder, seconds)
                    waiting.reschedule(None)
                except BaseException:
                    queue.release()
                    raise
        except TimeoutError as error:
            if not waiting.expired():
                raise
            raise LeaseBusy(name) from error
        try:
            async with asyncio.timeout(seconds):
                yield now
        finally:
            queue.release()
            await self._release(name, holder)

    @asynccontextmanager
    async def hold_if_free(self, name: str, *, seconds: float) -> AsyncIterator[datetime | None]:
        """Hold `name` for the block, however long it takes, if nobody does; yields None when somebody else
        holds it. `seconds` is what the lease outlives a holder that dies."""
        holder = uuid.uuid4()
        now = await self.claim(name, holder, seconds)
        if now is None:
            yield None
            return
        heartbeat = asyncio.create_task(self._prolong(name, holder, seconds))
        try:
            yield now
        finally:
            heartbeat.cancel()
            await self._release(name, holder)

    async def _prolong(self, name: str, holder: uuid.UUID, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            # The next beat may succeed; if none does in time, the lease is lost like that of a dead holder.
            with suppress(SQLAlchemyError, OSError):
                await self.claim(name, holder, seconds)

    async def claim(self, name: str, holder: uuid.UUID, seconds: float) -> datetime | None:
        """Take the lease, or prolong it when `holder` has it; None when it is somebody else's."""
        now = sa.func.now()
        statement = insert(lease).values(
            name=name, holder=holder, held_until=now + timedelta(seconds=seconds)
        )
        statement = statement.on_conflict_do_update(
            index_elements=[lease.c.name],
            set_={"holder": holder, "held_until": now + timedelta(seconds=seconds)},
            where=sa.or_(lease.c.held_until < now, lease.c.holder == holder),
        )
        async with self._engine.begin() as connection:
            return (await connection.execute(statement.returning(now))).scalar()

    async def _claim_patiently(self, name: str, holder: uuid.UUID, seconds: float) -> datetime:
        # Polled, because the holder may be another process.
        while (now := await self.claim(name, holder, seconds)) is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
        return now

    async def _release(self, name: str, holder: uuid.UUID) -> None:
        statement = sa.delete(lease).where(lease.c.name == name, lease.c.holder == holder)
        # Not releasing is no harm but a delay: the lease runs out by itself.
        with suppress(SQLAlchemyError, OSError):
            async with self._engine.begin() as connection:
                await connection.execute(statement)
