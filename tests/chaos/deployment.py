"""A deployment as in production: processes that can be killed one by one, each with a log file."""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

import httpx

from app.db import migrate
from devtools.embedded_postgres import EmbeddedPostgres
from tests.chaos import crash_points
from tests.support.clock import eventually
from tests.support.portal import as_environment, settings_for
from tests.support.processes import Running, free_port, is_ready
from tests.support.sandbox import Sandbox
from tests.support.tcp_relay import Connection, running_relay

APIS = ("api-1", "api-2")
WORKERS = ("worker-1", "worker-2")
LEASE_SECONDS = 2.0
# The shortest there is; in production it is ten minutes.
SWEEP_SECONDS = 10
TERMINATED_SHARE = 0.5


@dataclass
class Deployment:
    """Two APIs behind a balancer and two workers, over one PostgreSQL of their own."""

    server: EmbeddedPostgres
    folder: Path
    url: str
    ports: dict[str, int]
    environment: dict[str, str]
    secrets: list[str] = field(default_factory=list)
    processes: dict[str, Running] = field(default_factory=dict)
    armed: dict[str, str] = field(default_factory=dict)
    died_at: Counter[str] = field(default_factory=Counter)

    @property
    def database_url(self) -> str:
        return self.server.url("portal")

    def start(self, name: str, point: str | None = None, passes: int = 0) -> None:
        """Start one process; it goes on writing where the one before it stopped. With a `point` it will die
        there by itself."""
        environment = {
            **self.environment,
            "PORTAL_WEBHOOK_SECRETS": json.dumps(self.secrets),
            "PORTAL_PORT": str(self.ports.get(name, 0)),
        }
        log = self.folder / f"{name}.log"
        first = None
        if point is not None:
            self.armed[name] = point
            first = partial(crash_points.arm, point, passes)
        command = name.partition("-")[0]
        self.processes[name] = Running.start([command], environment, output=log, errors=log, first=first)

    async def kill(self, name: str) -> None:
        """SIGKILL: the process cannot clean up."""
        self.armed.pop(name, None)
        await self.processes[name].end(signal.SIGKILL)

    def restart_dead(self, rng: random.Random | None = None) -> None:
        """Restart ended processes and record where they died. With `rng`, half of these will die again."""
        for name in (*APIS, *WORKERS):
            if self.processes[name].process.exitcode is None:
                continue
            self.died_at[self.armed.pop(name, "anywhere")] += 1
            places = crash_points.OF_APIS if name in APIS else crash_points.OF_WORKERS
            if rng is None or rng.random() < TERMINATED_SHARE:
                self.start(name)
            else:
                self.start(name, rng.choice(list(places)), passes=rng.randrange(3))

    def crash_database(self) -> None:
        """Without a checkpoint: it has to recover from its log. To be called from the main thread."""
        os.kill(self.server.pid, signal.SIGQUIT)
        self.server.stop()

    async def until_ready(self, http: httpx.AsyncClient) -> None:
        """Wait until both APIs can serve, also if an armed process still has to die."""
        for port in self.ports.values():

            async def has_risen(url: str = f"http://127.0.0.1:{port}") -> bool:
                self.restart_dead()
                return await is_ready(http, url)

            await eventually(has_risen, within=60)

    def logs(self) -> str:
        """Everything that any process has written."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))


@asynccontextmanager
async def running_deployment(sandbox: Sandbox, folder: Path) -> AsyncIterator[Deployment]:
    """The deployment with a webhook at this sandbox; its database and its logs are in `folder`."""
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        await asyncio.to_thread(_build, server)
        ports = {name: free_port() for name in APIS}
        settings = settings_for(server.url("portal"), sandbox.url, worker_lease=LEASE_SECONDS)
        environment = {**as_environment(settings), "PORTAL_SWEEP_INTERVAL": str(SWEEP_SECONDS)}
        async with running_relay(_in_turns(list(ports.values()))) as port:
            deployment = Deployment(server, folder, f"http://127.0.0.1:{port}", ports, environment)
            try:
                yield deployment
            finally:
                for name in deployment.processes:
                    await deployment.kill(name)
    finally:
        server.stop()


def _in_turns(ports: Sequence[int]) -> Callable[[], Awaitable[Connection]]:
    """What a load balancer in front of these ports of this machine does: it leaves out the dead."""
    turns = cycle(range(len(ports)))

    async def connect() -> Connection:
        first = next(turns)
        for port in (*ports[first:], *ports[:first]):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        raise ConnectionRefusedError("nobody is there")

    return connect


def _build(server: EmbeddedPostgres) -> None:
    server.recreate("portal")
    migrate.upgrade(server.url("portal"))
