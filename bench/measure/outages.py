"""Deliveries while Digital River hangs, and while PostgreSQL restarts."""

import time

from bench.deliveries import OTHER_TYPE, deliveries
from bench.figures import COUNT, MILLISECONDS, SECONDS, Goal
from bench.load import Job, Outcome, request
from bench.measure.context import CONNECTIONS, Bench
from bench.measure.reads import authorization
from bench.processes import Server, post, running_api, running_worker

RATE, OUTAGE_SECONDS = 200, 12
# The longest that Digital River waits for our answer.
LATEST = Goal(must=3.0)


def measure(bench: Bench) -> None:
    url = bench.databases.fresh()
    with running_api(url, bench.sandbox) as api, running_worker(url, bench.sandbox):
        token = authorization(bench)
        bench.table.add_heading(f"Webhooks during outages, at {RATE} events/s")
        post(f"{bench.sandbox}/_sandbox/faults", {"kind": "delay", "seconds": 60.0})
        buyers = [request("GET", "/v1/orders", dict(token))] * CONNECTIONS
        hanging = bench.load.start(Job(api.port, buyers, CONNECTIONS))
        _add_outage(bench, "Digital River hangs", bench.load.send(_steady_load(api)), Goal(must=0))
        hanging.result()
        # From this thread: the server ends with the thread that started it.
        sending = bench.load.start(_steady_load(api))
        time.sleep(OUTAGE_SECONDS / 3)
        bench.databases.server.stop()
        time.sleep(1)
        bench.databases.server.start()
        _add_outage(bench, "PostgreSQL restarts", sending.result(), None)


def _steady_load(api: Server) -> Job:
    return Job(api.port, deliveries(RATE * OUTAGE_SECONDS, OTHER_TYPE), CONNECTIONS, RATE)


def _add_outage(bench: Bench, outage: str, outcome: Outcome, refusals: Goal | None) -> None:
    bench.table.add_one(f"p99 while {outage}", outcome.percentile(0.99), SECONDS, LATEST)
    bench.table.add_one("  p50", outcome.percentile(0.5) * 1000, MILLISECONDS)
    refused = {status: count for status, count in sorted(outcome.statuses.items()) if status != 202}
    bench.table.add_one("  not accepted", sum(refused.values()), COUNT, refusals)
    for status, count in refused.items():
        bench.table.add_one(f"    answered {status}" if status else "    without an answer", count, COUNT)
