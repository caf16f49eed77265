"""Inserts new events into the inbox, with one INSERT for all deliveries that arrive at the same time.

It is the busiest path, so it takes the hot pool (docs/decisions/hot-statements-without-sqlalchemy.md). Each
statement is a transaction of its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.db.hot_pool import HotPool
from app.ids import EventId
from app.webhooks.inbox import CHANNEL, Origin

BATCH_SIZE = 500
# While one write waits for the disk, the next batch is collected and sent.
WRITERS = 2
# Digital River waits 3,000 ms (docs, Webhooks best practices). That must be enough for the body (one second),
# the running write and the next one, so that Digital River gets a 503 and not a time-out.
WRITE_SECONDS = 0.7


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An authentic event to insert. `state` is `pending` if its type has a handler, else `ignored`. An
    ignored event has the digest of its body instead of the body."""

    id: EventId
    type: str
    state: Literal["pending", "ignored"]
    order_id: str | None
    happened_at: datetime | None
    body: str | None
    body_digest: bytes | None = None


_INSERT_EVENTS = """
WITH inserted AS (
    INSERT INTO webhook_event (id, type, state, order_id, happened_at, body, body_digest, origin, finished_at)
    SELECT id, type, state, order_id, happened_at, body, digest, $8, CASE state WHEN 'ignored' THEN now() END
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::bytea[])
        AS event (id, type, state, order_id, happened_at, body, digest)
    ORDER BY id -- two processes with the same duplicates must lock them in the same order
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
SELECT id, (SELECT pg_notify($9, '')) FROM inserted
"""


async def insert_events(pool: HotPool, events: Sequence[NewEvent], origin: Origin) -> set[str]:
    """Insert the events that the inbox does not have, in one statement, and wake the workers.

    Returns the ids that are new. When this returns, they are committed. Takes the hot pool."""
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
    """Writes the events of deliveries in batches. Events that arrive during a write share the next write, so
    a burst needs few commits. Each delivery is answered only after the commit of its own event."""

    def __init__(self, pool: HotPool) -> None:
        self._pool = pool
        self._waiting: list[tuple[NewEvent, asyncio.Future[bool]]] = []
        self._writers: set[asyncio.Task[None]] = set()

    async def add(self, event: NewEvent) -> bool:
        """Insert one event; True if it is new, False if the inbox had it. Committed on return.

        Raises:
            TimeoutError: neither the running write nor the next one has confirmed it in time.
        """
        loop = asyncio.get_running_loop()
        inserted: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((event, inserted))
        if len(self._writers) < WRITERS:
            writer = asyncio.create_task(self._write())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        # The limit holds for any number of waiting events and any failure of a write.
        deadline = loop.call_later(2 * WRITE_SECONDS, _expire, inserted)
        try:
            return await inserted
        finally:
            deadline.cancel()

    async def _write(self) -> None:
        while self._waiting:
            # Digital River delivers an event again if its caller here has timed out.
            self._waiting = [(event, inserted) for event, inserted in self._waiting if not inserted.done()]
            batch, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
            if batch:
                await self._write_batch(batch)

    async def _write_batch(self, batch: list[tuple[NewEvent, asyncio.Future[bool]]]) -> None:
        try:
            # After a time-out it is unknown whether the write was committed; the next delivery finds out.
            async with asyncio.timeout(WRITE_SECONDS):
                new = await insert_events(self._pool, [event for event, _ in batch], "webhook")
        except BaseException as error:
            for _, inserted in batch:
                if not inserted.done():
                    inserted.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for event, inserted in batch:
            if not inserted.done():
                inserted.set_result(event.id in new)
            # If a batch has the same event twice, the second one is the duplicate.
            new.discard(event.id)


def _expire(inserted: asyncio.Future[bool]) -> None:
    if not inserted.done():
        inserted.set_exception(TimeoutError())
