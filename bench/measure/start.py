"""The start of the API process, and its memory."""

import asyncio
import subprocess
import sys
import time

import psutil

from bench.deliveries import deliveries
from bench.figures import MEGABYTES, SECONDS, Goal
from bench.load import Job, request
from bench.measure.context import CONNECTIONS, Bench
from bench.measure.reads import LIST, authorization, insert_documents
from bench.processes import Server, running_api

REQUESTS = 2000
# The libraries that any app like ours imports: they show how fast this machine is now.
LIBRARIES = "import fastapi, uvicorn, asyncpg, sqlalchemy"


def measure(bench: Bench) -> None:
    url = bench.databases.fresh()
    asyncio.run(insert_documents(url))
    with running_api(url, bench.sandbox):
        # Not counted: it compiles the modules.
        pass
    ready, ready_cpu, started, loaded, imports, imports_cpu = [], [], [], [], [], []
    for _ in range(bench.rounds):
        wall, cpu = _import_libraries()
        imports.append(wall)
        imports_cpu.append(cpu)
        with running_api(url, bench.sandbox) as api:
            ready.append(api.ready_after)
            ready_cpu.append(api.cpu_seconds())
            started.append(api.resident_megabytes())
            _send_some_of_each(bench, api)
            loaded.append(api.resident_megabytes())
    table = bench.table
    table.add_heading("Start and memory of the API process")
    table.add("resident after the load", loaded, MEGABYTES, Goal(must=120, aim=100))
    table.add("resident when ready", started, MEGABYTES)
    table.add("ready after", ready, SECONDS, Goal(must=1.5, aim=1.0))
    table.add("  CPU until ready", ready_cpu, SECONDS)
    table.add("  beside it, only its libraries imported", imports, SECONDS)
    table.add("    CPU of that", imports_cpu, SECONDS)


def _import_libraries() -> tuple[float, float]:
    """The wall and the CPU time of a process that imports the libraries, in seconds."""
    before, began = psutil.Process().cpu_times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    after, ended = psutil.Process().cpu_times(), time.perf_counter()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return ended - began, cpu


def _send_some_of_each(bench: Bench, api: Server) -> None:
    """Deliveries and lists, from as many connections as at full load."""
    lists = [request("GET", LIST, dict(authorization(bench)))] * REQUESTS
    for requests, status in ((deliveries(REQUESTS), 202), (lists, 200)):
        outcome = bench.load.send(Job(api.port, requests, CONNECTIONS))
        # A machine that is too busy may refuse some.
        assert outcome.statuses[status] > REQUESTS / 2, outcome.statuses
