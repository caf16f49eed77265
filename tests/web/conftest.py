"""Every test of this folder talks HTTP to the small app."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.web.small_app import Stage, build, settings


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
async def http(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    app = build(stage, settings(cors_origins=("https://shop.test",)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=True), base_url="http://portal.test"
    ) as client:
        yield client
