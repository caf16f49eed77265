"""Named leases: one holder at a time across all processes, without a connection held while it works."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from app.db.batches import Batcher
from app.db.errors import DATABASE_ERRORS
from app.db.hot_pool import HotPool
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

# Two processes with the same names must lock them in the same order. `holder` in RETURNING is the new one.
_CLAIM = """
INSERT INTO lease AS held (name, holder, held_until)
SELECT name, holder, now() + make_interval(secs => seconds)
FROM unnest($1::text[], $2::uuid[], $3::float8[]) AS claim (name, holder, seconds)
ORDER BY name
ON CONFLICT (name) DO UPDATE SET (holder, held_until) = (excluded.holder, excluded.held_until)
    WHERE held.held_until < now() OR held.holder = excluded.holder
RETURNING name, now()
"""

_RELEASE = """
DELETE FROM lease USING (
    SELECT name, holder FROM lease
    WHERE (name, holder) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
    ORDER BY name
    FOR UPDATE
) AS held
WHERE lease.name = held.name AND lease.holder = held.holder
"""


def customer_lease(customer_id: CustomerId) -> str:
    """The lease for writing this customer, its address or its payment sources at Digital River."""
    return f"customer:{customer_id}"


class LeaseBusy(Exception):
    """Another holder still had the lease when the caller's `max_wait` ended."""


class Leases:
    """Leases in PostgreSQL. If a holder dies, its lease expires after some seconds.

    Claims and releases are committed at once, so that other processes see them. Those of the same moment
    share a statement: each event that a worker handles needs both."""

    def __init__(self, pool: HotPool) -> None:
        """Take the hot pool, because each event takes a lease."""
        self._pool = pool
        self._claims = Batcher(self._claim_all)
        self._releases = Batcher(self._release_all)
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
        renewal: asyncio.Task[None] | None = None

        def begin_to_renew() -> None:
            nonlocal renewal
            renewal = asyncio.create_task(self._renew(name, holder, seconds))

        # Most holders have ended by then, and a task that is cancelled unused costs more than a timer.
        timer = asyncio.get_running_loop().call_later(seconds / 3, begin_to_renew)
        try:
            yield
        finally:
            timer.cancel()
            if renewal is not None:
                renewal.cancel()
                # Otherwise a renewal that is still running could claim the lease again after its release.
                await asyncio.wait([renewal])

    async def _renew(self, name: str, holder: uuid.UUID, seconds: float) -> None:
        while True:
            # The next renewal may succeed. If none does in time, the lease expires as if the holder had died.
            with suppress(*DATABASE_ERRORS):
                await self.claim(name, holder, seconds)
            await asyncio.sleep(seconds / 3)

    async def claim(self, name: str, holder: uuid.UUID, seconds: float) -> datetime | None:
        """Claim the lease, or renew it if `holder` has it; None if another holder has it."""
        return await self._claims.submit((name, holder, seconds))

    async def _claim_all(self, claims: Sequence[tuple[str, uuid.UUID, float]]) -> Sequence[datetime | None]:
        # One statement cannot claim a name twice: of several holders, the first one gets the lease.
        first: dict[str, tuple[str, uuid.UUID, float]] = {}
        for claim in claims:
            first.setdefault(claim[0], claim)
        names, holders, seconds = zip(*first.values(), strict=True)
        claimed = dict(await self._pool.fetch(_CLAIM, names, holders, seconds))
        return [claimed.get(claim[0]) if claim is first[claim[0]] else None for claim in claims]

    async def _claim_when_free(self, name: str, holder: uuid.UUID, seconds: float) -> datetime:
        # It polls, because the holder may be in another process.
        while (now := await self.claim(name, holder, seconds)) is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
        return now

    async def _release(self, name: str, holder: uuid.UUID) -> None:
        # A failed release causes only a delay: the lease expires.
        with suppress(*DATABASE_ERRORS):
            await self._releases.submit((name, holder))

    async def _release_all(self, held: Sequence[tuple[str, uuid.UUID]]) -> Sequence[None]:
        names, holders = zip(*held, strict=True)
        await self._pool.execute(_RELEASE, names, holders)
        return [None] * len(held)
