"""Two buyers, so that one can reach for what is the other's."""

import pytest

from tests.house import Portal, Sandbox
from tests.payment_sources.buyer import Buyer


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> Buyer:
    return Buyer("ada", portal, sandbox, await sandbox.token("ada"))


@pytest.fixture
async def bob(portal: Portal, sandbox: Sandbox) -> Buyer:
    return Buyer("bob", portal, sandbox, await sandbox.token("bob"))
