"""Two processes with the same routes and one database."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from app.settings import Settings
from tests.house import Sandbox, settings_for
from tests.idempotency.works import Works, routers
from tests.stage import staged


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def settings(database_url: str, sandbox: Sandbox) -> Settings:
    return settings_for(database_url, sandbox.url, database_pool=4)


@pytest.fixture
async def api(
    works: Works, settings: Settings, database: asyncpg.Connection
) -> AsyncIterator[httpx.AsyncClient]:
    async with staged(settings, *routers(works)) as client:
        yield client


@pytest.fixture
async def other_process(
    works: Works, settings: Settings, database: asyncpg.Connection
) -> AsyncIterator[httpx.AsyncClient]:
    async with staged(settings, *routers(works)) as client:
        yield client


@pytest.fixture
async def ada(sandbox: Sandbox) -> dict[str, str]:
    return await sandbox.token("ada")
