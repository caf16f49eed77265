"""Two buyers, so that one can try to use the other's payment sources."""

import pytest

from tests.support.buyers import PaymentBuyer
from tests.support.portal import Portal
from tests.support.sandbox import Sandbox


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> PaymentBuyer:
    return PaymentBuyer("ada", portal, sandbox, await sandbox.token("ada"))


@pytest.fixture
async def bob(portal: Portal, sandbox: Sandbox) -> PaymentBuyer:
    return PaymentBuyer("bob", portal, sandbox, await sandbox.token("bob"))
