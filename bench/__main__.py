"""`make bench`: starts the portal, a baseline and the sandbox on this machine, and prints measured ratios."""

import asyncio
import base64
import hashlib
import hmac
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from app.db import migrate
from bench.load import Outcome, request, send_at_full_speed, send_at_rate
from bench.processes import SECRET, get, post, running_baseline, running_portal, running_sandbox, send
from devtools.embedded_postgres import EmbeddedPostgres, embedded_postgres

CLIENTS = 32
EVENTS = 4000
ROUNDS = 3
LISTS = 3000
RATE, RATE_SECONDS = 200, 30
PROCESSED_EVENTS = 30
OUTAGE_SECONDS = 12
# The portal keeps the body of such an event, as the baseline does. It keeps only a digest of others.
HANDLED_TYPE = "order.invoice.created"
CUSTOMER = "ada"


def main() -> None:
    with tempfile.TemporaryDirectory(
        prefix="portal-bench-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded_postgres(folder / "postgres") as server:
            server.recreate("portal")
            migrate.upgrade(server.url("portal"))
            measure_all(server)


def measure_all(server: EmbeddedPostgres) -> None:
    """Measure all figures one after the other, and print each at once."""
    asyncio.run(_prepare(server.url("portal")))
    with running_sandbox() as sandbox, running_portal(server, sandbox, "api") as (api, port, ready):
        with running_baseline(server, "ingest") as baseline:
            measure_ingest(port, baseline)
        measure_steady_rate(port)
        token = post(f"{sandbox}/_sandbox/tokens", {"customerId": CUSTOMER})["accessToken"]
        with running_baseline(server, "listing") as baseline:
            measure_lists(port, baseline, token)
        memory = psutil.Process(api.pid).memory_info().rss / 2**20
        _print("API process: resident", f"{memory:.0f} MB", "≤ 150 MB")
        _print("API process: ready after", f"{ready:.1f} s", "≤ 3 s")
        asyncio.run(_clear(server.url("portal")))
        with running_portal(server, sandbox, "worker"):
            asyncio.run(_wait_for_sweep(server.url("portal")))
            measure_event_processing(server, sandbox, port)
            measure_outages(server, sandbox, port, token)


def measure_ingest(portal: int, baseline: int) -> None:
    """Accepted events per second at full speed, compared with an app that only verifies and inserts."""
    speeds: dict[int, list[float]] = {portal: [], baseline: []}
    for _ in range(ROUNDS):
        for port in (baseline, portal):
            # No worker runs yet, so the events stay pending.
            outcome = asyncio.run(send_at_full_speed(port, _deliveries(EVENTS, HANDLED_TYPE), CLIENTS))
            assert set(outcome.statuses) == {202}, outcome.statuses
            speeds[port].append(outcome.per_second)
    ratio = statistics.median(speeds[portal]) / statistics.median(speeds[baseline])
    _print("webhooks accepted, portal : bare app", f"{ratio:.2f}", "≥ 0.75")
    _print("  of that, portal", f"{statistics.median(speeds[portal]):.0f} /s on this machine")


def measure_steady_rate(portal: int) -> None:
    """The latency of a delivery at a steady rate."""
    outcome: Outcome = asyncio.run(
        send_at_rate(portal, _deliveries(RATE * RATE_SECONDS, HANDLED_TYPE), RATE, CLIENTS)
    )
    _print(
        f"p99 at {RATE} events/s for {RATE_SECONDS} s", f"{outcome.percentile(0.99) * 1000:.1f} ms", "≤ 50 ms"
    )
    refused = sum(count for status, count in outcome.statuses.items() if status != 202)
    _print("  of these not accepted", f"{refused}", "0")


def measure_outages(server: EmbeddedPostgres, sandbox: str, portal: int, token: str) -> None:
    """The latency of a delivery while Digital River hangs, and while PostgreSQL restarts."""
    post(f"{sandbox}/_sandbox/faults", {"kind": "delay", "seconds": 60.0})
    _print_outage("Digital River hangs", asyncio.run(_send_beside_hanging_buyers(portal, token)))
    with ThreadPoolExecutor(1) as threads:
        deliveries = _deliveries(RATE * OUTAGE_SECONDS)
        running = threads.submit(asyncio.run, send_at_rate(portal, deliveries, RATE, CLIENTS))
        time.sleep(OUTAGE_SECONDS / 3)
        server.stop()
        time.sleep(1)
        server.start()
        _print_outage("PostgreSQL restarts", running.result())


async def _send_beside_hanging_buyers(portal: int, token: str) -> Outcome:
    orders = request("GET", "/v1/orders", {"Authorization": f"Bearer {token}"})
    buyers = asyncio.create_task(send_at_full_speed(portal, [orders] * CLIENTS, CLIENTS))
    outcome = await send_at_rate(portal, _deliveries(RATE * OUTAGE_SECONDS), RATE, CLIENTS)
    await buyers
    return outcome


def _print_outage(outage: str, outcome: Outcome) -> None:
    refused = {status: count for status, count in sorted(outcome.statuses.items()) if status != 202}
    _print(f"p99 at {RATE} events/s while {outage}", f"{outcome.percentile(0.99) * 1000:.0f} ms", "≤ 3 s")
    _print("  of these not accepted", ", ".join(f"{n} × {status}" for status, n in refused.items()) or "0")


def measure_lists(portal: int, baseline: int, token: str) -> None:
    """Lists of twenty documents per second, compared with a bare route that returns the same rows."""
    portal_request = request("GET", "/v1/documents", {"Authorization": f"Bearer {token}"})
    baseline_request = request("GET", f"/v1/documents?customer={CUSTOMER}", {})
    speeds: dict[int, list[float]] = {portal: [], baseline: []}
    for _ in range(ROUNDS):
        for port, message in ((baseline, baseline_request), (portal, portal_request)):
            outcome = asyncio.run(send_at_full_speed(port, [message] * LISTS, CLIENTS))
            assert set(outcome.statuses) == {200}, outcome.statuses
            speeds[port].append(outcome.per_second)
    ratio = statistics.median(speeds[portal]) / statistics.median(speeds[baseline])
    _print("lists of 20 documents, portal : bare route", f"{ratio:.2f}", "≥ 0.6")


def measure_event_processing(server: EmbeddedPostgres, sandbox: str, portal: int) -> None:
    """The time from an event's arrival to its link in PostgreSQL, one by one, within the key's budget."""
    address = f"http://127.0.0.1:{portal}/webhooks/digital-river"
    for _ in range(PROCESSED_EVENTS):
        item = {"name": "Lamp", "price": 10, "quantity": 1}
        order = post(f"{sandbox}/_sandbox/orders", {"customerId": CUSTOMER, "items": [item]})
        line = {"itemId": order["items"][0]["id"], "quantity": 1}
        post(f"{sandbox}/fulfillments", {"orderId": order["id"], "items": [line]})
        body = json.dumps(_invoice_event(sandbox, order["id"])).encode()
        send(address, body, _sign(body))
        time.sleep(0.3)
    seconds = asyncio.run(_durations(server.url("portal")))
    _print("event to link in PostgreSQL, p95", f"{seconds[int(len(seconds) * 0.95)] * 1000:.0f} ms", "≤ 1 s")


def _invoice_event(sandbox: str, order_id: str) -> dict[str, Any]:
    while True:
        order = get(f"{sandbox}/orders/{order_id}")
        if pdfs := order.get("invoicePDFs"):
            file_id = pdfs[0]["id"]
            subject = {"id": file_id, "fileId": file_id, "orderId": order_id, "customerId": CUSTOMER}
            return {**_event("order.invoice.created"), "data": {"object": subject}}
        # The sandbox limits these calls too: 25 per second, as Digital River limits test keys.
        time.sleep(0.25)


def _event(event_type: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "type": event_type,
        "liveMode": False,
        "createdTime": "2026-01-31T09:30:00Z",
    }


def _deliveries(count: int, event_type: str = "order.updated") -> Sequence[bytes]:
    """Signed events with a body of a typical size; by default of a type without a handler."""
    padding = {"data": {"object": {"id": "188418250336", "note": "x" * 300}}}
    bodies = (json.dumps({**_event(event_type), **padding}).encode() for _ in range(count))
    return [request("POST", "/webhooks/digital-river", _sign(body), body) for body in bodies]


def _sign(body: bytes) -> dict[str, str]:
    timestamp = str(round(time.time() * 1000))
    digest = hmac.digest(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "DigitalRiver-Signature": f"{timestamp}, {base64.b64encode(digest).decode()}",
    }


async def _prepare(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE baseline_event (id text PRIMARY KEY, type text, body text)")
    await connection.execute(
        """INSERT INTO document (file_id, order_id, customer_id, kind, file_name, created_at)
           SELECT 'f' || i, 'o' || i, CASE WHEN i < 40 THEN $1 ELSE 'c' || i % 500 END, 'invoice',
                  'invoice-' || i || '.pdf', timestamptz '2026-01-01' + i * interval '1 s'
           FROM generate_series(0, 20000) i""",
        CUSTOMER,
    )
    await connection.execute(
        """INSERT INTO file_link
           SELECT file_id, 'l' || file_id, 'https://files.digitalriver.com/links/' || file_id,
                  now() + interval '1 day' FROM document"""
    )
    await connection.execute("ANALYZE")
    await connection.close()


async def _clear(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("TRUNCATE webhook_event, document, file_link, baseline_event")
    await connection.close()


async def _wait_for_sweep(url: str) -> None:
    """A worker begins with a sweep; after it, the worker is idle."""
    connection = await asyncpg.connect(url)
    while not await connection.fetchval("SELECT count(*) FROM sweep WHERE finished_at IS NOT NULL"):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await connection.close()


async def _durations(url: str) -> list[float]:
    connection = await asyncpg.connect(url)
    open_events = "SELECT count(*) FROM webhook_event WHERE state = 'pending'"
    while await connection.fetchval(open_events):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    rows = await connection.fetch(
        """SELECT extract(epoch FROM finished_at - received_at)::float8 AS seconds FROM webhook_event
           WHERE state = 'done' AND origin = 'webhook' ORDER BY 1"""
    )
    await connection.close()
    assert len(rows) == PROCESSED_EVENTS, f"{len(rows)} of {PROCESSED_EVENTS} events became documents"
    return [row["seconds"] for row in rows]


def _print(figure: str, value: str, target: str = "") -> None:
    print(f"{figure:<45}{value:>12}   {f'aim {target}' if target else ''}", flush=True)


if __name__ == "__main__":
    main()
