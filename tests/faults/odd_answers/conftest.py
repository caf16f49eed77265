"""A portal whose far side may answer anything."""

from collections.abc import AsyncIterator

import pytest

from tests.house import Portal, Sandbox
from tests.orders.buyer import Buyer
from tests.twisted import TwistedFarSide, portal_behind, twisted


@pytest.fixture
async def far_side(sandbox: Sandbox) -> AsyncIterator[TwistedFarSide]:
    async with twisted(sandbox) as far_side:
        yield far_side


@pytest.fixture
async def portal(own_database_url: str, far_side: TwistedFarSide) -> AsyncIterator[Portal]:
    async with portal_behind(far_side, own_database_url) as portal:
        yield portal


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> Buyer:
    return Buyer("ada", portal, sandbox, await sandbox.token("ada"))
