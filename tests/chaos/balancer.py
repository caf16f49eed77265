"""What stands in front of the APIs in production: one address, and behind it whoever answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle


@asynccontextmanager
async def running_balancer(ports: Sequence[int]) -> AsyncIterator[str]:
    """The address of a balancer over these ports of this machine: it takes turns, and leaves out the dead."""
    turns = cycle(range(len(ports)))
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(turns)
        for port in (*ports[first:], *ports[:first]):
            with suppress(OSError):
                answers, questions = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pour(reader, questions), _pour(answers, writer))
                return
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Hand on all bytes; the end of one side is the end of the other."""
    try:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()
