"""A TCP relay between client and server that can change what the server sends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on all bytes until the source ends."""
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


async def no_greeting(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """What is between a relay and its client before the first word is handed on: nothing."""


@asynccontextmanager
async def running_relay(
    connect: Callable[[], Awaitable[Connection]],
    tell: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]] = pour,
    greet: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = no_greeting,
) -> AsyncIterator[int]:
    """The port of a relay to whomever `connect` reaches; without anybody there (OSError) it hangs up. `tell`
    decides what the client hears. A connection ends when either side has no more to say."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await greet(reader, writer)
            answers, questions = await connect()
            both = {asyncio.create_task(pour(reader, questions)), asyncio.create_task(tell(answers, writer))}
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                await asyncio.wait(both)
                questions.close()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
