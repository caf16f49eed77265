"""Runs the whole product on one machine, and prints how to use it. Its processes end with this one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NoReturn

from app.db import migrate
from app.db.errors import DATABASE_ERRORS, describe_error
from devtools.embedded_postgres import EmbeddedPostgres, die_with_parent, embedded_postgres

HOST = "127.0.0.1"
STOP_SECONDS = 15.0
WATCH_SECONDS = 0.2

WELCOME = """
The portal is running.

  API        {api}    documentation: {api}/docs
  Sandbox    {sandbox}    a local imitation of Digital River: {sandbox}/_sandbox/docs
  Logs       {logs}

A buyer has {documents} documents, which arrived through signed webhooks. The buyer's token, valid for a day:

{token}

Try in another terminal in this folder ({header} holds that token):

  curl -s -H @{header} {api}/v1/documents
  curl -s -H @{header} {api}/v1/orders/{order}/documents
  curl -sL -H @{header} -o document.pdf {api}/v1/documents/{document}/content

Ctrl-C stops everything.
"""


class DevelopmentError(RuntimeError):
    """The product cannot be run here; the message says why."""


def run() -> None:
    """Run all processes until Ctrl-C.

    Raises:
        DevelopmentError, EmbeddedPostgresError: a process cannot be started, or ended by itself.
    """
    folder = Path(os.environ.get("PORTAL_DATA_DIR", ".data"))
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        try:
            _watch(_start(stack, folder))
        except KeyboardInterrupt:
            _print("\nStopping.")


def _start(stack: ExitStack, folder: Path) -> Sequence["_Process"]:
    database_url = os.environ.get("PORTAL_DATABASE_URL") or _fresh_database(stack, folder)
    try:
        migrate.upgrade(database_url)
    except DATABASE_ERRORS as error:
        raise DevelopmentError(describe_error(error, database_url)) from None
    api_port, sandbox_port = _choose_port("PORTAL_PORT", 8000), _choose_port("SANDBOX_PORT", 8800)
    api_url = f"http://{HOST}:{api_port}"

    sandbox = _Process(folder, "sandbox", ["sandbox"], {"SANDBOX_PORT": str(sandbox_port)})
    stack.callback(sandbox.stop)
    sandbox_url = sandbox.read_line()["url"]

    seed = _Process(folder, "seed", ["sandbox.seed", "--sandbox", sandbox_url, "--portal", api_url], {})
    stack.callback(seed.stop)
    portal = {
        "PORTAL_ENVIRONMENT": "development",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_DIGITAL_RIVER_URL": sandbox_url,
        "PORTAL_OIDC_AUDIENCE": "portal",
        "PORTAL_HOST": HOST,
        "PORTAL_PORT": str(api_port),
        # The seed prints the secrets of its webhook, the API keys and the issuer of the tokens.
        **seed.read_line(),
    }
    servers = [_Process(folder, name, ["app.cli", name], portal) for name in ("api", "worker")]
    for server in servers:
        stack.callback(server.stop)
    _print_welcome(folder, api_url, sandbox_url, seed.read_line())
    return [sandbox, *servers]


def _fresh_database(stack: ExitStack, folder: Path) -> str:
    """An empty database on an embedded server: the sandbox keeps nothing, so old data would not fit to it."""
    server: EmbeddedPostgres = stack.enter_context(embedded_postgres(folder / "postgres"))
    server.recreate("portal")
    return server.url("portal")


def _choose_port(variable: str, default: int) -> int:
    """The port in the environment variable, else the default port, else (if that is in use) a free port."""
    if variable in os.environ:
        return int(os.environ[variable])
    for candidate in (default, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise DevelopmentError("there is no free port")


class _Process:
    """A child process, which ends with this process and logs into a file. Some print JSON lines for it."""

    def __init__(
        self, folder: Path, name: str, module: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", *module],
                env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name in ("sandbox", "seed") else log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def read_line(self) -> dict[str, Any]:
        """The next JSON line that the child prints."""
        output: IO[bytes] | None = self._process.stdout
        line = output.readline() if output else b""
        if not line:
            raise DevelopmentError(f"{self.name} has ended; see {self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the child with SIGTERM, and after STOP_SECONDS with SIGKILL."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def _print_welcome(folder: Path, api_url: str, sandbox_url: str, seeded: Mapping[str, Any]) -> None:
    header = folder / "buyer"
    header.touch(mode=0o600)
    header.write_text(f"Authorization: Bearer {seeded['token']}\n")
    _print(WELCOME.format(api=api_url, sandbox=sandbox_url, logs=folder / "logs", header=header, **seeded))


def _watch(processes: Sequence[_Process]) -> NoReturn:
    while True:
        for process in processes:
            if process.has_ended:
                raise DevelopmentError(f"{process.name} has ended; see {process.log}")
        time.sleep(WATCH_SECONDS)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201
