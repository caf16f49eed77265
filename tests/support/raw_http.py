"""A client that sends bytes of its own, for requests that no HTTP library would send."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.web import server, setup
from tests.support.portal import Portal

TIMEOUT_SECONDS = 8.0
WEBHOOK = "/webhooks/digital-river"
# Instead of ten, fifteen and thirty seconds, so that the tests are fast.
HEAD, BODY, DRAIN, UNREAD = 0.5, 0.6, 0.5, 0.5

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def shorten_timeouts() -> None:
    """For the process of an API: the limits of production, the waits of a test."""
    server.HEAD_SECONDS = HEAD
    server.DRAIN_SECONDS = DRAIN
    server.UNREAD_SECONDS = UNREAD
    setup.JSON_BODY_SECONDS = BODY


def post(path: str, *fields: str, body: str = "") -> bytes:
    """A request with exactly these header fields and these bytes after them."""
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: portal", *fields, "", body]).encode()


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: portal", *fields, "", ""]).encode()


@dataclass
class RawConnection:
    """One connection to the portal."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent: int = 0

    async def send(self, data: bytes) -> None:
        """Send, also when the other side has gone."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()
            self.sent += len(data)

    async def answer(self) -> bytes:
        """The next answer's header and body, while the connection stays open."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length, head
            return head + await self.reader.readexactly(int(length[1]))

    async def everything(self) -> bytes:
        """All that comes until the portal ends the connection; it must, in time."""
        received = bytearray()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while piece := await self.reader.read(65536):
                    received += piece
        return bytes(received)

    async def flood(self, pieces: AsyncIterable[bytes]) -> bytes:
        """Send without end and without looking, until the portal ends the connection; what it said."""

        async def send() -> None:
            async for piece in pieces:
                await self.send(piece)

        sending = asyncio.create_task(send())
        try:
            return await self.everything()
        finally:
            sending.cancel()


@asynccontextmanager
async def raw_connection(portal: Portal) -> AsyncIterator[RawConnection]:
    """A new connection, closed with the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(portal.url.rsplit(":", 1)[1]))
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()


async def send_and_receive(portal: Portal, data: bytes) -> bytes:
    """What the portal answers to these bytes until it ends the connection."""
    async with raw_connection(portal) as connection:
        await connection.send(data)
        return await connection.everything()


async def endless(first: bytes, piece: bytes, *, seconds: float = 0.0) -> AsyncIterator[bytes]:
    """`first`, and then `piece` for ever, with a pause of `seconds` before each."""
    yield first
    while True:
        await asyncio.sleep(seconds)
        yield piece


def statuses(received: bytes) -> list[int]:
    """The statuses of the answers, in order."""
    return [int(status) for status in _STATUS.findall(received)]
