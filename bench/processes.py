"""Starts what the benchmark measures, each in its own process, and reads what it costs."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from devtools.embedded_postgres import die_with_parent

SECRET = "whs_benchmark_secret"
API_KEY = "sk_test_sandbox"
START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running process; `port` is 0 if it has none. `ready_after` is in seconds since its start."""

    process: psutil.Process
    port: int = 0
    ready_after: float = 0.0

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children, until now."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(times.user + times.system for times in (member.cpu_times() for member in family))

    def resident_megabytes(self) -> float:
        resident: int = self.process.memory_info().rss
        return resident / 2**20


@contextmanager
def _process(
    arguments: Sequence[str], environment: Mapping[str, str], *, is_read: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        # Modules are compiled once, as `make setup` does with those of libraries.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        stdout=subprocess.PIPE if is_read else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def running_sandbox() -> Iterator[str]:
    """The sandbox, which also issues tokens; its URL."""
    with _process(["-m", "sandbox", "--port", "0"], {}, is_read=True) as process:
        yield _printed_url(process)


@contextmanager
def running_far_side(seconds: float) -> Iterator[str]:
    """A Digital River that answers each call after so many seconds; its URL."""
    with _process(["-m", "bench.far_side", str(seconds)], {}, is_read=True) as process:
        yield _printed_url(process)


@contextmanager
def running_floor(database_url: str, app: str) -> Iterator[Server]:
    """An app of `bench.floors`."""
    port = _free_port()
    quiet = ["--port", str(port), "--no-access-log", "--log-level", "error"]
    environment = {"BENCH_DATABASE_URL": database_url, "BENCH_SECRET": SECRET}
    with _process(["-m", "uvicorn", f"bench.floors:{app}", *quiet], environment) as process:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/")
        yield Server(psutil.Process(process.pid), port)


@contextmanager
def running_api(database_url: str, digital_river: str) -> Iterator[Server]:
    """`portal api`, once it is ready."""
    port = _free_port()
    environment = {**_settings(database_url, digital_river), "PORTAL_PORT": str(port)}
    started = time.perf_counter()
    with _process(["-m", "app.cli", "api"], environment) as process:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/health/ready")
        yield Server(psutil.Process(process.pid), port, time.perf_counter() - started)


@contextmanager
def running_worker(database_url: str, digital_river: str, **environment: str) -> Iterator[Server]:
    """`portal worker`, which may still be starting."""
    settings = {**_settings(database_url, digital_river), **environment}
    with _process(["-m", "app.cli", "worker"], settings) as process:
        yield Server(psutil.Process(process.pid))


def migrate(database_url: str) -> None:
    """`portal migrate`."""
    environment = {**os.environ, **_settings(database_url, "http://127.0.0.1:1")}
    subprocess.run([sys.executable, "-m", "app.cli", "migrate"], env=environment, check=True)


def _settings(database_url: str, digital_river: str) -> dict[str, str]:
    return {
        "PORTAL_ENVIRONMENT": "development",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_DIGITAL_RIVER_URL": digital_river,
        "PORTAL_DIGITAL_RIVER_SECRET_KEY": API_KEY,
        "PORTAL_WEBHOOK_SECRETS": json.dumps([SECRET]),
        "PORTAL_OIDC_ISSUER": f"{digital_river}/_sandbox/oidc",
        "PORTAL_OIDC_AUDIENCE": "portal",
        # One buyer at one IP address sends all requests.
        "PORTAL_RATE_LIMIT_PER_BUYER": "1000000",
        "PORTAL_RATE_LIMIT_PER_ADDRESS": "1000000",
    }


def _printed_url(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    url: str = json.loads(process.stdout.readline())["url"]
    return url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(url):
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{url} is not ready after {START_SECONDS} s"
        time.sleep(0.01)


def _is_ready(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
        # A floor has no such path.
        return error.code == 404
    except OSError:
        return False
    return True


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST to the sandbox; its answer."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    message = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(message, timeout=10) as response:
        answer: dict[str, Any] = json.loads(response.read())
        return answer


def fetch(port: int, path: str, headers: Mapping[str, str], body: bytes | None = None) -> tuple[int, bytes]:
    """The status and the body that this server answers; with the same Host as the load has."""
    message = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Host": "portal", **headers})
    with urllib.request.urlopen(message, timeout=10) as response:
        return response.status, response.read()
