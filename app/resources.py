"""What a process holds open while it lives: settings, PostgreSQL and the far side."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.db.engine import AsyncEngine, Pool, open_engine, open_hot_pool
from app.db.leases import Leases
from app.digital_river.client.http_client import DigitalRiverClient
from app.settings import Settings


@dataclass(frozen=True)
class Resources:
    """The collaborators that services are given. `hot` is asyncpg without SQLAlchemy, for the hot paths."""

    settings: Settings
    engine: AsyncEngine
    hot_pool: Pool
    leases: Leases
    digital_river: DigitalRiverClient


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open everything for the length of the block. PostgreSQL and the far side need not be up yet."""
    async with (
        open_engine(settings) as engine,
        open_hot_pool(settings) as hot_pool,
        DigitalRiverClient.open(settings) as digital_river,
    ):
        yield Resources(settings, engine, hot_pool, Leases(engine), digital_river)


def resources_of(request: Request) -> Resources:
    """The resources of the process that serves the request."""
    resources: Resources = request.app.state.resources
    return resources


def base_url_of(request: Request) -> str:
    """Where this API is reached, with a slash at its end: as configured, else as the request was sent."""
    configured = resources_of(request).settings.public_url
    return f"{configured.rstrip('/')}/" if configured else str(request.base_url)


async def _resources(request: Request) -> Resources:
    # Not `resources_of` itself, which FastAPI would run in a thread, since it is not async.
    return resources_of(request)


ResourcesDep = Annotated[Resources, Depends(_resources)]
