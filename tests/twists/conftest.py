"""A portal whose far side may answer anything."""

from collections.abc import AsyncIterator

import pytest

from tests.house import Portal, Sandbox, running_portal
from tests.orders.buyer import Buyer
from tests.twisted import TwistedFarSide, twisted


@pytest.fixture
async def far_side(sandbox: Sandbox) -> AsyncIterator[TwistedFarSide]:
    async with twisted(sandbox) as far_side:
        yield far_side


@pytest.fixture
async def portal(own_database_url: str, sandbox: Sandbox, far_side: TwistedFarSide) -> AsyncIterator[Portal]:
    issuer = f"{sandbox.url}/_sandbox/oidc"
    async with running_portal(own_database_url, far_side.url, oidc_issuer=issuer) as portal:
        yield portal


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> Buyer:
    return Buyer("ada", portal, sandbox, await sandbox.token("ada"))
