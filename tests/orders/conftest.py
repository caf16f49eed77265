"""Two buyers and a support agent."""

import pytest

from tests.support.buyers import OrderBuyer
from tests.support.portal import Portal
from tests.support.sandbox import Sandbox


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> OrderBuyer:
    return OrderBuyer("ada", portal, sandbox, await sandbox.token("ada"))


@pytest.fixture
async def mallory(portal: Portal, sandbox: Sandbox) -> OrderBuyer:
    return OrderBuyer("mallory", portal, sandbox, await sandbox.token("mallory"))


@pytest.fixture
async def support(portal: Portal, sandbox: Sandbox) -> OrderBuyer:
    token = await sandbox.token("agent-7", scopes=["portal:support"])
    return OrderBuyer("agent-7", portal, sandbox, token)
