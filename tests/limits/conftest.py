"""Two portals over one database, with limits that a test can reach."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.db import buckets
from tests.house import Portal, Sandbox, running_portal
from tests.limits.house import PER_ADDRESS, PER_BUYER, Crowd


@pytest.fixture(scope="session")
async def limited_processes(
    database_url: str, sandbox_process: Sandbox
) -> AsyncIterator[tuple[Portal, Portal]]:
    limits = {"rate_limit_per_buyer": PER_BUYER, "rate_limit_per_address": PER_ADDRESS}
    origins = {"cors_origins": ("https://shop.example",)}
    async with (
        running_portal(database_url, sandbox_process.url, with_worker=False, **limits, **origins) as one,
        running_portal(database_url, sandbox_process.url, with_worker=False, **limits) as other,
    ):
        yield one, other


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with tests is no database that hangs."""
    monkeypatch.setattr(buckets, "TAKE_SECONDS", 10.0)


@pytest.fixture
async def crowd(
    limited_processes: tuple[Portal, Portal], sandbox: Sandbox, database: asyncpg.Connection
) -> Crowd:
    """Both portals, and callers whom they have never seen."""
    return Crowd(*limited_processes, sandbox)
