"""Buyers and a support agent for the tests of customers."""

import pytest

from tests.support.buyers import AccountBuyer
from tests.support.portal import Portal
from tests.support.sandbox import Sandbox


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> AccountBuyer:
    """A buyer without a customer at Digital River."""
    return AccountBuyer(portal, await sandbox.token("ada"))


@pytest.fixture
async def eve(portal: Portal, sandbox: Sandbox) -> AccountBuyer:
    """Another buyer."""
    return AccountBuyer(portal, await sandbox.token("eve"))


@pytest.fixture
async def support(portal: Portal, sandbox: Sandbox) -> AccountBuyer:
    return AccountBuyer(portal, await sandbox.token("sam", scopes=["portal:support"]))
