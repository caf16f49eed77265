"""A client of the small app."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.web.small_app import RouteState, build, settings


@pytest.fixture
def route_state() -> RouteState:
    return RouteState()


@pytest.fixture
async def http(route_state: RouteState) -> AsyncIterator[httpx.AsyncClient]:
    app = build(route_state, settings(cors_origins=("https://shop.test",)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=True), base_url="http://portal.test"
    ) as client:
        yield client
