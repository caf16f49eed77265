"""Two processes with the same routes and one database."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from app.settings import Settings
from tests.support.counted_routes import CountedWork, routers
from tests.support.portal import settings_for
from tests.support.route_app import client_of_routes
from tests.support.sandbox import Sandbox


@pytest.fixture
def work() -> CountedWork:
    return CountedWork()


@pytest.fixture
def settings(database_url: str, sandbox: Sandbox) -> Settings:
    return settings_for(database_url, sandbox.url, database_pool=4)


@pytest.fixture
async def api(
    work: CountedWork, settings: Settings, database: asyncpg.Connection
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of_routes(settings, *routers(work)) as client:
        yield client


@pytest.fixture
async def other_process(
    work: CountedWork, settings: Settings, database: asyncpg.Connection
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of_routes(settings, *routers(work)) as client:
        yield client


@pytest.fixture
async def ada(sandbox: Sandbox) -> dict[str, str]:
    return await sandbox.token("ada")
