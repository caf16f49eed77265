"""A whole production house of processes that can be killed one by one, each writing its log into a file."""

import asyncio
import json
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.db import migrate
from app.db.embedded import EmbeddedPostgres
from tests.house import Sandbox, as_environment, eventually, settings_for
from tests.processes import Running

COMMANDS = {"api-1": "api", "api-2": "api", "worker-1": "worker", "worker-2": "worker"}


@dataclass
class House:
    """Two APIs and two workers over one PostgreSQL of their own."""

    server: EmbeddedPostgres
    folder: Path
    environment: dict[str, str]
    ports: dict[str, int]
    processes: dict[str, Running] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        return self.server.url("portal")

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str) -> None:
        """Start one process; it goes on writing where the one before it stopped."""
        port = {"PORTAL_PORT": str(self.ports[name])} if name in self.ports else {}
        log = self.folder / f"{name}.log"
        environment = {**self.environment, **port}
        self.processes[name] = Running.start([COMMANDS[name]], environment, output=log, errors=log)

    async def kill(self, name: str) -> None:
        """SIGKILL: no chance to put anything down."""
        await self.processes[name].end(signal.SIGKILL)

    async def replace(self, name: str) -> None:
        await self.kill(name)
        self.start(name)

    def restart_database(self) -> None:
        """From the main thread: on Linux the server is tied to it."""
        self.server.stop()
        self.server.start()

    async def until_ready(self, http: httpx.AsyncClient) -> None:
        """Wait until both APIs can serve."""
        for name in self.ports:

            async def is_ready(name: str = name) -> bool:
                try:
                    return (await http.get(f"{self.url(name)}/health/ready")).is_success
                except httpx.TransportError:
                    return False

            await eventually(is_ready, within=40)

    def logs(self) -> str:
        """Everything that any process has written."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running_house(sandbox: Sandbox, secrets: list[str], port: int) -> AsyncIterator[House]:
    """The house with its database, APIs and workers, against this sandbox; `port` is the first API's."""
    folder = _folder()
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.start()
    try:
        await asyncio.to_thread(_build, server)
        settings = settings_for(server.url("portal"), sandbox.url, worker_lease=2.0)
        environment = {
            **as_environment(settings),
            "PORTAL_WEBHOOK_SECRETS": json.dumps(secrets),
        }
        house = House(server, folder, environment, {"api-1": port, "api-2": free_port()})
        for name in COMMANDS:
            house.start(name)
        try:
            yield house
        finally:
            for name in COMMANDS:
                await house.kill(name)
    finally:
        server.stop()
        shutil.rmtree(folder)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="portal-storm-", dir="/var/tmp"))
    # PostgreSQL's account has to reach its own part of it.
    folder.chmod(0o755)
    return folder


def _build(server: EmbeddedPostgres) -> None:
    server.recreate("portal")
    migrate.upgrade(server.url("portal"))
