"""`python -m sandbox [--port N]`: serves the sandbox and prints its address as one line of JSON.

With `SANDBOX_TETHER` the process ends when its parent process ends.
"""

import argparse
import ctypes
import json
import os
import signal
import socket
import sys

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.app import create_app
from sandbox.settings import Settings

_PR_SET_PDEATHSIG = 1


class ExposedProtocol(HttpToolsProtocol):
    """Adds the connection to the ASGI scope, so that the `reset` fault can reset it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox": {"transport": self.transport}}


class AnnouncingServer(uvicorn.Server):
    """Prints `{"url": …}` when it listens."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(json.dumps({"url": self._url}) + "\n")
            sys.stdout.flush()


def exit_with_parent() -> None:
    """End this process when the parent ends. Only on Linux; elsewhere the parent must end this process."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the call.
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    settings = Settings()
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A local Digital River.")
    parser.add_argument("--port", type=int, default=settings.port, help="0 picks a free port")
    port = parser.parse_args().port
    if settings.tether:
        exit_with_parent()
    with socket.create_server((settings.host, port), backlog=2048) as listening:
        port = listening.getsockname()[1]
        url = settings.public_url or f"http://{settings.host}:{port}"
        config = uvicorn.Config(
            create_app(settings, url),
            http=ExposedProtocol,
            log_level="warning",
            access_log=False,
            # Longer than clients keep connections, so that no client uses a connection that was just closed.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        AnnouncingServer(config, url).run(sockets=[listening])


if __name__ == "__main__":
    main()
