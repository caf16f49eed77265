"""One doer at a time across all processes, without holding a connection while it works."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.errors import FAILURES
from app.db.schema import metadata
from app.ids import CustomerId

POLL_SECONDS = 0.05
# What a lease outlives a dead holder is shorter than what waiters bear: they survive the crash of a holder.
LEASE_SECONDS = 10.0
MAX_WAIT_SECONDS = 15.0

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", UUID(as_uuid=True), nullable=False),
    sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
)


def customer_lease(customer_id: CustomerId) -> str:
    """The lease for writing this customer, its address or its payment sources at Digital River."""
    return f"customer:{customer_id}"


class LeaseBusy(Exception):
    """Another holder has the lease, and the caller's patience has run out."""


class Leases:
    """Named leases in PostgreSQL. A holder that dies loses its lease when its seconds run out.

    Each claim and release is a transaction of its own, because other processes must see it at once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Callers of one process queue here, so that only one of them asks the database again and again.
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(
        self, name: str, *, seconds: float = LEASE_SECONDS, max_wait: float = MAX_WAIT_SECONDS
    ) -> AsyncIterator[datetime]:
        """Hold `name` for the block, however long it takes; yields the database's time of taking it.
        `seconds` is what the lease outlives a holder that dies.

        Raises:
            LeaseBusy: it was not to be had within `patience` seconds.
        """
        queue = self._queues.setdefault(name, asyncio.Lock())
        holder = uuid.uuid4()
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(max_wait) as waiting:
                    await stack.enter_async_context(queue)
                    # Before it is taken: cancelled a moment too late, it would stay taken.
                    stack.push_async_callback(self._release, name, holder)
                    now = await self._claim_when_free(name, holder, seconds)
            except TimeoutError as error:
                if not waiting.expired():
                    raise
                raise LeaseBusy(name) from error
            await stack.enter_async_context(self._heartbeat(name, holder, seconds))
            yield now

    @asynccontextmanager
    async def hold_if_free(self, name: str, *, seconds: float) -> AsyncIterator[datetime | None]:
        """As `hold`, but yields None at once if another holder has it."""
        holder = uuid.uuid4()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._release, name, holder)
            now = await self.claim(name, holder, seconds)
            if now is not None:
                await stack.enter_async_context(self._heartbeat(name, holder, seconds))
            yield now

    @asynccontextmanager
    async def _heartbeat(self, name: str, holder: uuid.UUID, seconds: float) -> AsyncIterator[None]:
        beating = asyncio.create_task(self._prolong(name, holder, seconds))
        try:
            yield
        finally:
            beating.cancel()
            # A beat under way could else take the lease again, after its release.
            await asyncio.wait([beating])

    async def _prolong(self, name: str, holder: uuid.UUID, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            # The next beat may succeed; if none does in time, the lease is lost like that of a dead holder.
            with suppress(*FAILURES):
                await self.claim(name, holder, seconds)

    async def claim(self, name: str, holder: uuid.UUID, seconds: float) -> datetime | None:
        """Take the lease, or prolong it when `holder` has it; None if another holder has it."""
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

    async def _claim_when_free(self, name: str, holder: uuid.UUID, seconds: float) -> datetime:
        # Polled, because the holder may be another process.
        while (now := await self.claim(name, holder, seconds)) is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
        return now

    async def _release(self, name: str, holder: uuid.UUID) -> None:
        statement = sa.delete(lease).where(lease.c.name == name, lease.c.holder == holder)
        # Not releasing is no harm but a delay: the lease runs out by itself.
        with suppress(*FAILURES):
            async with self._engine.begin() as connection:
                await connection.execute(statement)
