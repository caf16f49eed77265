"""Metrics for Prometheus: those of this process, and those of the inbox, read from PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import Gauge, start_http_server

from app.db.engine import AsyncEngine
from app.db.errors import DATABASE_ERRORS
from app.digital_river.client.http_client import DigitalRiverClient
from app.webhooks import inbox, sweep_log

INBOX_EVENTS = Gauge("portal_inbox_events", "Events in the inbox, by state.", ["state"])
INBOX_OLDEST_OPEN_SECONDS = Gauge(
    "portal_inbox_oldest_open_seconds", "Age of the oldest open event, 0 when none is open."
)
SWEEP_WATERMARK = Gauge(
    "portal_sweep_watermark_timestamp_seconds", "When the last sweep that went well had started, 0 before it."
)
DATABASE_UP = Gauge("portal_database_up", "1 when PostgreSQL answered while these numbers were collected.")
DIGITAL_RIVER_BUDGET_USED = Gauge(
    "portal_digital_river_budget_used", "Calls of this process to Digital River during the last second."
)

log = structlog.get_logger()


async def update_gauges(engine: AsyncEngine, client: DigitalRiverClient) -> None:
    """Update the gauges. If PostgreSQL cannot be reached, those of the inbox keep their last values."""
    DIGITAL_RIVER_BUDGET_USED.set(client.status().used_last_second)
    try:
        async with engine.connect() as connection:
            for state in ("pending", "buried"):
                INBOX_EVENTS.labels(state).set(await inbox.count_events(connection, state))
            age = await inbox.find_oldest_pending_age(connection)
            sweep_state = await sweep_log.load_state(connection)
    except DATABASE_ERRORS as error:
        DATABASE_UP.set(0)
        log.error("metrics.database_unavailable", error=type(error).__name__)
        return
    DATABASE_UP.set(1)
    INBOX_OLDEST_OPEN_SECONDS.set(0 if age is None else age.total_seconds())
    SWEEP_WATERMARK.set(0 if sweep_state.watermark is None else sweep_state.watermark.timestamp())


@contextmanager
def serve_metrics(host: str, port: int) -> Iterator[None]:
    """Serve the metrics of this process on a port of their own until the block ends. Port 0 means: do not.

    Raises:
        OSError: the port is in use.
    """
    if not port:
        yield
        return
    server, thread = start_http_server(port, host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
