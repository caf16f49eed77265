"""A bell that PostgreSQL rings. It may miss a ring: whoever waits for it also looks at a clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from app.db.engine import connect
from app.db.errors import is_outage

RECONNECT_SECONDS = 1.0

log = structlog.get_logger()


@asynccontextmanager
async def bell(url: str, channel: str) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever somebody notifies `channel`; the listener reconnects by itself."""
    rung = asyncio.Event()
    listener = asyncio.create_task(_listen(url, channel, rung))
    try:
        yield rung
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


async def _listen(url: str, channel: str, rung: asyncio.Event) -> None:
    while True:
        try:
            await _listen_once(url, channel, rung)
        except Exception as error:
            # No failure may end the listening for good; one that nobody foresaw comes with its trace.
            trace = None if is_outage(error) else error
            log.warning("bell.lost", error=type(error).__name__, exc_info=trace)
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen_once(url: str, channel: str, rung: asyncio.Event) -> None:
    """Listen until the connection ends."""
    ended = asyncio.Event()
    connection = await connect(url, "portal-bell")
    try:
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(channel, lambda *_: rung.set())
        # Whatever was said while nobody listened.
        rung.set()
        await ended.wait()
    finally:
        connection.terminate()
