"""What the properties stand on."""

from collections.abc import AsyncIterator

import pytest

from tests.house import Portal, Sandbox, running_portal

# They hold the assertions of these tests.
pytest.register_assert_rewrite("tests.properties.steps", "tests.properties.trade")


@pytest.fixture
async def portal(own_database_url: str, sandbox: Sandbox) -> AsyncIterator[Portal]:
    """Without a worker: workers come and go as the plan says."""
    async with running_portal(own_database_url, sandbox.url, with_worker=False) as portal:
        yield portal
