"""The resources of a process for its lifetime: settings, PostgreSQL and the client of Digital River."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

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


def resources_of(request: Request) -> Resources:
    """The resources of the process that serves the request."""
    resources: Resources = request.app.state.resources
    return resources


def base_url_of(request: Request) -> str:
    """The URL of this API, ending with a slash: as configured, else as in the request."""
    configured = resources_of(request).settings.public_url
    return f"{configured.rstrip('/')}/" if configured else str(request.base_url)


async def _resources(request: Request) -> Resources:
    # Not `resources_of`: FastAPI would run it in a thread, because it is not async.
    return resources_of(request)


ResourcesDep = Annotated[Resources, Depends(_resources)]
