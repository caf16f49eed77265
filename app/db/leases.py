"""Named leases: one holder at a time across all processes, without a connection held while it works."""

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

from app.db.errors import DATABASE_ERRORS
from app.db.schema import metadata
from app.ids import CustomerId

POLL_SECONDS = 0.05
# Shorter than MAX_WAIT_SECONDS, so that a waiting caller gets the lease after its holder has died.
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
    """Another holder still had the lease when the caller's `max_wait` ended."""


class Leases:
    """Leases in PostgreSQL. If a holder dies, its lease expires after some seconds.

    Each claim and release is a transaction of its own, so that other processes see it at once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Callers of one process queue here, so that only one of them polls the database.
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(
        self, name: str, *, seconds: float = LEASE_SECONDS, max_wait: float = MAX_WAIT_SECONDS
    ) -> AsyncIterator[datetime]:
        """Hold the lease `name` until the end of the block. Yields the database's time of the claim.

        After the death of its holder, the lease lasts at most `seconds`.

        Raises:
            LeaseBusy: the lease did not become free within `max_wait` seconds.
        """
        queue = self._queues.setdefault(name, asyncio.Lock())
        holder = uuid.uuid4()
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(max_wait) as waiting:
                    await stack.enter_async_context(queue)
                    # Before the claim: a cancellation right after it would leave the lease claimed.
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
        """Like `hold`, but if another holder has the lease, it yields None at once."""
        holder = uuid.uuid4()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._release, name, holder)
            now = await self.claim(name, holder, seconds)
            if now is not None:
                await stack.enter_async_context(self._heartbeat(name, holder, seconds))
            yield now

    @asynccontextmanager
    async def _heartbeat(self, name: str, holder: uuid.UUID, seconds: float) -> AsyncIterator[None]:
        renewal = asyncio.create_task(self._renew(name, holder, seconds))
        try:
            yield
        finally:
            renewal.cancel()
            # Otherwise a renewal that is still running could claim the lease again after its release.
            await asyncio.wait([renewal])

    async def _renew(self, name: str, holder: uuid.UUID, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            # The next renewal may succeed. If none does in time, the lease expires as if the holder had died.
            with suppress(*DATABASE_ERRORS):
                await self.claim(name, holder, seconds)

    async def claim(self, name: str, holder: uuid.UUID, seconds: float) -> datetime | None:
        """Claim the lease, or renew it if `holder` has it; None if another holder has it."""
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
        # It polls, because the holder may be in another process.
        while (now := await self.claim(name, holder, seconds)) is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
        return now

    async def _release(self, name: str, holder: uuid.UUID) -> None:
        statement = sa.delete(lease).where(lease.c.name == name, lease.c.holder == holder)
        # A failed release causes only a delay: the lease expires.
        with suppress(*DATABASE_ERRORS):
            async with self._engine.begin() as connection:
                await connection.execute(statement)
