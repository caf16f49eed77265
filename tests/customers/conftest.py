"""Ada, who buys, and a supporter, who only looks."""

import pytest

from tests.customers.house import Buyer
from tests.house import Portal, Sandbox


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> Buyer:
    """A buyer whom Digital River does not know yet."""
    return Buyer(portal, await sandbox.token("ada"))


@pytest.fixture
async def eve(portal: Portal, sandbox: Sandbox) -> Buyer:
    """Another buyer."""
    return Buyer(portal, await sandbox.token("eve"))


@pytest.fixture
async def support(portal: Portal, sandbox: Sandbox) -> Buyer:
    return Buyer(portal, await sandbox.token("sam", scopes=["portal:support"]))
