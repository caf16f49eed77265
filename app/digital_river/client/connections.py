"""How many calls may be under way at once: who finds no connection free has waited for us, not for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.digital_river.errors import NoConnectionFree


class Connections:
    """As many as the network's pool holds, so that nobody ever waits in that pool: there, waiting for our own
    connections and waiting for the far side's answer to a SYN look the same."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    @asynccontextmanager
    async def one(self, *, patience: float) -> AsyncIterator[None]:
        """A connection for the block.

        Raises:
            Crowded: none was free within `patience` seconds.
        """
        try:
            async with asyncio.timeout(patience):
                await self._free.acquire()
        except TimeoutError:
            raise NoConnectionFree from None
        try:
            yield
        finally:
            self._free.release()
