"""Puts new events into the inbox: one INSERT for all deliveries of the moment.

This path is hot, so it takes the bare asyncpg pool. Each statement is a transaction of its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from app.ids import EventId
from app.webhooks.inbox import CHANNEL, Origin

BATCH_SIZE = 500
# While one write waits for the disk, the next one is gathered and sent.
WRITERS = 4
# Digital River waits 3,000 ms (docs, Webhooks best practices). They must do for the body, which has a second,
# for the write under way and for the next one: a 503 in time tells it more than silence.
WRITE_SECONDS = 0.7


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An authentic event that is not kept yet. `state` is `pending` if its type has a handler, else
    `ignored`. Of an ignored event the digest is kept instead of the body."""

    id: EventId
    type: str
    state: Literal["pending", "ignored"]
    order_id: str | None
    happened_at: datetime | None
    body: str | None
    body_digest: bytes | None = None


_INSERT_EVENTS = """
WITH kept AS (
    INSERT INTO webhook_event (id, type, state, order_id, happened_at, body, body_digest, origin, finished_at)
    SELECT id, type, state, order_id, happened_at, body, digest, $8, CASE state WHEN 'ignored' THEN now() END
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::bytea[])
        AS event (id, type, state, order_id, happened_at, body, digest)
    ORDER BY id -- two processes with the same duplicates must lock them in the same order
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT id, (SELECT pg_notify($9, '')) FROM kept
"""


async def insert_events(pool: asyncpg.Pool, events: Sequence[NewEvent], origin: Origin) -> set[str]:
    """Keep the events that are not kept yet, in one statement, and wake the workers.

    Returns the ids that are new. When this returns, they are committed. Hot: it takes the pool."""
    rows = await pool.fetch(
        _INSERT_EVENTS,
        [event.id for event in events],
        [event.type for event in events],
        [event.state for event in events],
        [event.order_id for event in events],
        [event.happened_at for event in events],
        [event.body for event in events],
        [event.body_digest for event in events],
        origin,
        CHANNEL,
    )
    return {row["id"] for row in rows}


class BatchWriter:
    """Gathers the events of deliveries. Those that arrive while a write is under way share the next write, so
    a burst costs few commits, and each is answered only after its own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[NewEvent, asyncio.Future[bool]]] = []
        self._writers: set[asyncio.Task[None]] = set()

    async def add(self, event: NewEvent) -> bool:
        """Keep one event; True if it is new, False if it was kept before. Committed on return.

        Raises:
            TimeoutError: neither the write under way nor the next one has kept it, as far as is known.
        """
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, kept))
        if len(self._writers) < WRITERS:
            writer = asyncio.create_task(self._write())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        # However many wait, and whatever becomes of their writes.
        async with asyncio.timeout(2 * WRITE_SECONDS):
            return await kept

    async def _write(self) -> None:
        while self._waiting:
            # A caller that has given up meanwhile will deliver again.
            self._waiting = [one for one in self._waiting if not one[1].done()]
            batch, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
            if batch:
                await self._write_batch(batch)

    async def _write_batch(self, batch: list[tuple[NewEvent, asyncio.Future[bool]]]) -> None:
        try:
            # Whether a write that took too long was committed is not known; the retry finds out.
            async with asyncio.timeout(WRITE_SECONDS):
                new = await insert_events(self._pool, [event for event, _ in batch], "webhook")
        except BaseException as error:
            for _, kept in batch:
                if not kept.done():
                    kept.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for event, kept in batch:
            if not kept.done():
                kept.set_result(event.id in new)
            # The same event twice in one batch: the second one is the duplicate.
            new.discard(event.id)
