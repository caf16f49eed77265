"""The production processes as operators start them: `portal api` and `portal worker`, killable."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from app.settings import Settings
from tests.house import Portal, as_environment, eventually


@dataclass
class Running:
    """A process of the product."""

    process: asyncio.subprocess.Process

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; returns the exit status."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), timeout=15)


@asynccontextmanager
async def running(command: str, settings: Settings, **environment: str) -> AsyncIterator[Running]:
    """`portal <command>` with these settings; killed with the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app.cli", command),
        env={**os.environ, **as_environment(settings), **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def running_api(
    settings: Settings, *, stop_with: signal.Signals = signal.SIGTERM
) -> AsyncIterator[Portal]:
    """`portal api` on a free port, once it is ready; its `stop` sends this signal."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with (
        running("api", settings, PORTAL_PORT=str(port)) as api,
        httpx.AsyncClient(base_url=url, timeout=15) as client,
    ):

        async def is_ready() -> bool:
            try:
                return (await client.get("/health/ready")).is_success
            except httpx.TransportError:
                return False

        await eventually(is_ready)
        yield Portal(url, client, settings, stop=partial(api.process.send_signal, stop_with))
