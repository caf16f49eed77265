"""A portal whose far side may answer anything."""

from collections.abc import AsyncIterator

import pytest

from tests.support.buyers import OrderBuyer
from tests.support.portal import Portal
from tests.support.rewriting_proxy import RewritingProxy, portal_behind, running_rewriting_proxy
from tests.support.sandbox import Sandbox


@pytest.fixture
async def far_side(sandbox: Sandbox) -> AsyncIterator[RewritingProxy]:
    async with running_rewriting_proxy(sandbox) as far_side:
        yield far_side


@pytest.fixture
async def portal(own_database_url: str, far_side: RewritingProxy) -> AsyncIterator[Portal]:
    async with portal_behind(far_side, own_database_url) as portal:
        yield portal


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> OrderBuyer:
    return OrderBuyer("ada", portal, sandbox, await sandbox.token("ada"))
