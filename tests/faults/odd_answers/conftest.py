"""A portal whose calls to Digital River go through a proxy that can change every answer."""

from collections.abc import AsyncIterator

import pytest

from tests.support.buyers import OrderBuyer
from tests.support.portal import Portal
from tests.support.rewriting_proxy import RewritingProxy, portal_behind, running_rewriting_proxy
from tests.support.sandbox import Sandbox


@pytest.fixture
async def proxy(sandbox: Sandbox) -> AsyncIterator[RewritingProxy]:
    async with running_rewriting_proxy(sandbox) as proxy:
        yield proxy


@pytest.fixture
async def portal(own_database_url: str, proxy: RewritingProxy) -> AsyncIterator[Portal]:
    async with portal_behind(proxy, own_database_url) as portal:
        yield portal


@pytest.fixture
async def ada(portal: Portal, sandbox: Sandbox) -> OrderBuyer:
    return OrderBuyer("ada", portal, sandbox, await sandbox.token("ada"))
