"""The resources of a process for its lifetime: settings, PostgreSQL and the client of Digital River."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.db.engine import AsyncEngine, open_engine, open_hot_pool
from app.db.hot_pool import HotPool
from app.db.leases import Leases
from app.digital_river.client.http_client import MAX_CONNECTIONS, DigitalRiverClient
from app.settings import Settings


@dataclass(frozen=True)
class Resources:
    """The open resources. `hot_pool` is asyncpg without SQLAlchemy, for the busiest statements."""

    settings: Settings
    engine: AsyncEngine
    hot_pool: HotPool
    leases: Leases
    digital_river: DigitalRiverClient


@asynccontextmanager
async def open_resources(
    settings: Settings, *, digital_river_connections: int = MAX_CONNECTIONS
) -> AsyncIterator[Resources]:
    """Open all resources until the end of the block. PostgreSQL and Digital River may still be down."""
    async with (
        open_engine(settings) as engine,
        open_hot_pool(settings) as hot_pool,
        DigitalRiverClient.open(settings, max_connections=digital_river_connections) as digital_river,
    ):
        yield Resources(settings, engine, hot_pool, Leases(hot_pool), digital_river)
