"""Starts what the benchmark measures, each in its own process, and sends plain HTTP requests to it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from devtools.embedded_postgres import EmbeddedPostgres, die_with_parent

SECRET = "whs_benchmark_secret"


@contextmanager
def _process(arguments: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE if arguments[1] == "sandbox" else subprocess.DEVNULL,
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
    with _process(["-m", "sandbox", "--port", "0"], {}) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]


@contextmanager
def running_portal(
    server: EmbeddedPostgres, sandbox: str, command: str
) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    port = _free_port()
    environment = {
        "PORTAL_ENVIRONMENT": "development",
        "PORTAL_DATABASE_URL": server.url("portal"),
        "PORTAL_DIGITAL_RIVER_URL": sandbox,
        "PORTAL_DIGITAL_RIVER_SECRET_KEY": "sk_test_sandbox",
        "PORTAL_WEBHOOK_SECRETS": json.dumps([SECRET]),
        "PORTAL_OIDC_ISSUER": f"{sandbox}/_sandbox/oidc",
        "PORTAL_OIDC_AUDIENCE": "portal",
        "PORTAL_PORT": str(port),
        # One buyer at one IP address sends all requests.
        "PORTAL_RATE_LIMIT_PER_BUYER": "1000000",
        "PORTAL_RATE_LIMIT_PER_ADDRESS": "1000000",
    }
    started = time.perf_counter()
    with _process(["-m", "app.cli", command], environment) as process:
        if command == "api":
            _wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield process, port, time.perf_counter() - started


@contextmanager
def running_baseline(server: EmbeddedPostgres, app: str) -> Iterator[int]:
    port = _free_port()
    environment = {"BENCH_DATABASE_URL": server.url("portal"), "BENCH_SECRET": SECRET}
    quiet = ["--port", str(port), "--no-access-log", "--log-level", "error"]
    with _process(["-m", "uvicorn", f"bench.baseline:{app}", *quiet], environment):
        _wait_for(f"http://127.0.0.1:{port}/")
        yield port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 503:
                return
        except OSError:
            pass
        else:
            return
        time.sleep(0.02)


def get(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(send(url, None, {"Authorization": "Bearer sk_test_sandbox"}))
    return answer


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": "Bearer sk_test_sandbox", "Content-Type": "application/json"}
    answer: dict[str, Any] = json.loads(send(url, json.dumps(body).encode(), headers))
    return answer


def send(url: str, body: bytes | None, headers: dict[str, str]) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as response:
        content: bytes = response.read()
        return content
