"""The inbox and the sweep with their database, without the processes around them."""

from collections.abc import AsyncIterator

import pytest

from app.resources import Resources, open_resources
from tests.support.portal import settings_for
from tests.support.sandbox import Sandbox


@pytest.fixture
async def resources(own_database_url: str, sandbox: Sandbox) -> AsyncIterator[Resources]:
    """What a worker holds, without a worker: no handler takes what is kept or found."""
    async with open_resources(settings_for(own_database_url, sandbox.url)) as opened:
        yield opened
