"""The production processes, `portal api` and `portal worker`, which tests can start and kill."""

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx

from app import cli
from app.settings import Settings
from tests.support import forks
from tests.support.clock import eventually
from tests.support.portal import Portal, as_environment


def _be_portal(arguments: Sequence[str], first: Callable[[], None] | None) -> None:
    if first is not None:
        first()
    cli.main(arguments)


@dataclass
class Running:
    """A process of the product."""

    process: ForkServerProcess

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        output: Path = Path(os.devnull),
        errors: Path = Path(os.devnull),
        first: Callable[[], None] | None = None,
    ) -> "Running":
        """`portal <arguments>`, writing to the ends of these files; before it, `first` is called there."""
        portal = partial(_be_portal, arguments, first)
        process = forks.start(portal, environment, output=str(output), errors=str(errors))
        return cls(process)

    def send(self, number: signal.Signals) -> None:
        """Send the signal, if it still runs. It may have ended without that being known here."""
        if self.process.exitcode is None and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    async def wait(self, seconds: float = 30) -> int:
        """Wait for the end; returns the exit status, negative for the signal it died of."""
        await asyncio.to_thread(self.process.join, seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s"
        return self.process.exitcode

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; returns the exit status."""
        self.send(number)
        return await self.wait(seconds=15)


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def is_ready(client: httpx.AsyncClient, url: str = "") -> bool:
    """Whether the API there can serve; there may be none yet."""
    try:
        return (await client.get(f"{url}/health/ready")).is_success
    except httpx.TransportError:
        return False


@asynccontextmanager
async def running(
    command: str, settings: Settings, first: Callable[[], None] | None = None, **environment: str
) -> AsyncIterator[Running]:
    """`portal <command>` with these settings; killed with the block if it still runs."""
    portal = Running.start([command], {**as_environment(settings), **environment}, first=first)
    try:
        yield portal
    finally:
        await portal.end(signal.SIGKILL)


@asynccontextmanager
async def running_api(
    settings: Settings,
    *,
    stop_with: signal.Signals = signal.SIGTERM,
    first: Callable[[], None] | None = None,
    **environment: str,
) -> AsyncIterator[Portal]:
    """`portal api` on a free port, once it is ready; its `stop` sends this signal."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        running("api", settings, first, PORTAL_PORT=str(port), **environment) as api,
        httpx.AsyncClient(base_url=url, timeout=15) as client,
    ):
        await eventually(lambda: is_ready(client))
        yield Portal(url, client, settings, stop=partial(api.send, stop_with))


@dataclass(frozen=True)
class Printed:
    """How a command ended, and what it said."""

    status: int
    output: str
    errors: str


async def portal_command(settings: Settings, *arguments: str, **environment: str) -> Printed:
    """Run `portal <arguments>` to its end."""
    with tempfile.TemporaryDirectory() as name:
        output, errors = Path(name) / "output", Path(name) / "errors"
        environment = {**as_environment(settings), **environment}
        command = Running.start(arguments, environment, output=output, errors=errors)
        status = await command.wait()
        return Printed(status, output.read_text(), errors.read_text())
