"""Listens for NOTIFY, so that workers react at once. A notification can be lost, so they also poll."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from app.db.engine import connect
from app.db.errors import is_outage

RECONNECT_SECONDS = 1.0

log = structlog.get_logger()


@asynccontextmanager
async def listen(url: str, channel: str) -> AsyncIterator[asyncio.Event]:
    """An event that is set at each notification of `channel`. After a lost connection, it connects again."""
    notified = asyncio.Event()
    listener = asyncio.create_task(_keep_listening(url, channel, notified))
    try:
        yield notified
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


async def _keep_listening(url: str, channel: str, notified: asyncio.Event) -> None:
    while True:
        try:
            await _listen_once(url, channel, notified)
        except Exception as error:
            # No error may end the listening for good. An unexpected error is logged with its trace.
            trace = None if is_outage(error) else error
            log.warning("notifications.lost", error=type(error).__name__, exc_info=trace)
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen_once(url: str, channel: str, notified: asyncio.Event) -> None:
    """Listen until the connection ends."""
    ended = asyncio.Event()
    connection = await connect(url, "portal-listen")
    try:
        connection.add_termination_listener(lambda _: ended.set())
        await connection.add_listener(channel, lambda *_: notified.set())
        # Notifications sent before LISTEN were lost.
        notified.set()
        await ended.wait()
    finally:
        connection.terminate()
