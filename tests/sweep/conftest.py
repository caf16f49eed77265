"""What sweeps are tried with."""

from collections.abc import AsyncIterator

import pytest

from app.resources import Resources, open_resources
from tests.house import Sandbox, settings_for


@pytest.fixture
async def resources(own_database_url: str, sandbox: Sandbox) -> AsyncIterator[Resources]:
    """What a worker holds, without a worker: nobody handles what is found."""
    async with open_resources(settings_for(own_database_url, sandbox.url)) as opened:
        yield opened
