"""Two buyers and the shop's support."""

import pytest

from tests.house import Portal, Sandbox
from tests.orders.buyer import Buyer


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> Buyer:
    return Buyer("ada", portal, sandbox, await sandbox.token("ada"))


@pytest.fixture
async def mallory(portal: Portal, sandbox: Sandbox) -> Buyer:
    return Buyer("mallory", portal, sandbox, await sandbox.token("mallory"))


@pytest.fixture
async def support(portal: Portal, sandbox: Sandbox) -> Buyer:
    token = await sandbox.token("agent-7", scopes=["portal:support"])
    return Buyer("agent-7", portal, sandbox, token)
