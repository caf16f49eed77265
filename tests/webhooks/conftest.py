"""The inbox and its database, without the processes around it."""

from collections.abc import AsyncIterator

import pytest

from app.resources import Resources, open_resources
from tests.house import settings_for

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
async def resources(own_database_url: str) -> AsyncIterator[Resources]:
    async with open_resources(settings_for(own_database_url, NOBODY)) as resources:
        yield resources
