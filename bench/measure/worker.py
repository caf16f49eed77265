"""The worker, with a Digital River that takes 100 ms for each call."""

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from bench.database import execute
from bench.deliveries import HANDLED_TYPE, delivery, invoice_event
from bench.figures import MILLISECONDS, PER_SECOND, Goal, percentile
from bench.measure.context import Bench
from bench.processes import Server, running_api, running_far_side, running_worker

CALL_SECONDS = 0.1
BUDGET = "PORTAL_DIGITAL_RIVER_REQUESTS_PER_SECOND"
LIVE_BUDGET = {BUDGET: "250"}
# So high that it never makes a call wait.
NO_BUDGET = {BUDGET: "1000000"}

WARM_UP_EVENTS = 3
SINGLE_EVENTS = 40
# A worker that is too slow is not watched to the end.
BACKLOG, LONGEST_SECONDS = 3000, 8.0
RAMP_SECONDS = 1.0
# The longest that a worker may take to start or to store a link.
SILENCE_SECONDS = 60.0

_CHANNEL = "bench_link"
# PostgreSQL sends a notification when its transaction is committed.
_NOTIFY_OF_LINKS = f"""
CREATE FUNCTION notify_of_link() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_notify('{_CHANNEL}', NEW.file_id); RETURN NULL; END
$$;
CREATE TRIGGER notify_of_link AFTER INSERT ON file_link FOR EACH ROW EXECUTE FUNCTION notify_of_link();
"""
# Files of their own in each round: the far side keeps its links, and a known link needs one call less.
_FILL_INBOX = f"""
INSERT INTO webhook_event (id, type, state, origin, order_id, happened_at, body)
SELECT 'e' || i, '{HANDLED_TYPE}', 'pending', 'webhook', 'o' || i, now(), json_build_object(
    'id', 'e' || i, 'type', '{HANDLED_TYPE}', 'liveMode', false, 'createdTime', '2026-01-31T09:30:00Z',
    'data', json_build_object('object', json_build_object(
        'id', file_id, 'fileId', file_id, 'orderId', 'o' || i, 'customerId', 'ada')))::text
FROM (SELECT i, gen_random_uuid() AS file_id FROM generate_series(1, {BACKLOG}) i) AS announced
"""  # noqa: S608 - constants


def measure(bench: Bench) -> None:
    bench.table.add_heading(f"Worker; Digital River takes {CALL_SECONDS * 1000:.0f} ms for each call")
    with running_far_side(CALL_SECONDS) as far_side:
        _measure_single_events(bench, far_side)
        _measure_backlog(bench, far_side)


def _measure_single_events(bench: Bench, far_side: str) -> None:
    url = bench.databases.fresh()
    execute(url, _NOTIFY_OF_LINKS)
    with running_api(url, far_side) as api, running_worker(url, far_side, **LIVE_BUDGET):
        seconds = asyncio.run(_deliver_one_by_one(url, api))
    milliseconds = [1000 * duration for duration in seconds]
    figure = "event to link in PostgreSQL, idle"
    bench.table.add_one(f"{figure}, p50", percentile(milliseconds, 0.5), MILLISECONDS)
    bench.table.add_one(
        f"{figure}, p95", percentile(milliseconds, 0.95), MILLISECONDS, Goal(350, 250), spread=milliseconds
    )


async def _deliver_one_by_one(url: str, api: Server) -> Sequence[float]:
    """The seconds from just before each delivery is sent until its link is committed."""
    connection = await asyncpg.connect(url)
    # A worker begins with a sweep; after it, the worker is idle.
    while not await connection.fetchval("SELECT count(*) FROM sweep WHERE finished_at IS NOT NULL"):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    committed: asyncio.Queue[tuple[str, float]] = asyncio.Queue()

    def note_commit(_connection: object, _pid: int, _channel: str, file_id: str) -> None:
        committed.put_nowait((file_id, time.perf_counter()))

    await connection.add_listener(_CHANNEL, note_commit)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    seconds = []
    for _ in range(WARM_UP_EVENTS + SINGLE_EVENTS):
        # At no fixed distance, so that what the processes do on a schedule does not always meet the event.
        await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311
        file_id = str(uuid.uuid4())
        message = delivery(invoice_event(file_id))
        sent = time.perf_counter()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 202 "), head
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        stored, moment = await asyncio.wait_for(committed.get(), SILENCE_SECONDS)
        assert stored == file_id
        seconds.append(moment - sent)
    writer.close()
    await connection.close()
    return seconds[WARM_UP_EVENTS:]


@dataclass(frozen=True)
class _Sample:
    """How much a worker had done at a moment."""

    at: float
    done: int
    cpu_seconds: float


def _measure_backlog(bench: Bench, far_side: str) -> None:
    url = bench.databases.fresh()
    speeds, cpu = [], []
    for _ in range(bench.rounds):
        execute(url, "TRUNCATE webhook_event, document, file_link", _FILL_INBOX, "VACUUM ANALYZE")
        with running_worker(url, far_side, **NO_BUDGET) as worker:
            first, last = asyncio.run(_watch_backlog(url, worker))
        done = last.done - first.done
        speeds.append(done / (last.at - first.at))
        cpu.append((last.cpu_seconds - first.cpu_seconds) / done * 1e3)
    table = bench.table
    table.add("events handled by one worker", speeds, PER_SECOND, Goal(250, 400, higher_is_better=True))
    table.add("  CPU of the worker per event", cpu, MILLISECONDS)


async def _watch_backlog(url: str, worker: Server) -> tuple[_Sample, _Sample]:
    """The state a second after the first event was done, and when all were or the time was over."""
    connection = await asyncpg.connect(url)
    links = "SELECT count(*) FROM file_link JOIN document USING (file_id)"

    async def sample() -> _Sample:
        done = await connection.fetchval("SELECT count(*) FROM webhook_event WHERE state = 'done'")
        return _Sample(time.perf_counter(), done, worker.cpu_seconds())

    begun = await sample()
    deadline = begun.at + SILENCE_SECONDS
    while not begun.done:
        assert begun.at < deadline, "the worker handles nothing"
        await asyncio.sleep(0.02)
        begun = await sample()
    await asyncio.sleep(RAMP_SECONDS)
    first = last = await sample()
    while last.done < BACKLOG and last.at < first.at + LONGEST_SECONDS:
        await asyncio.sleep(0.05)
        last = await sample()
    assert first.done < BACKLOG, "the backlog is too short"
    assert await connection.fetchval(links) >= last.done
    await connection.close()
    return first, last
