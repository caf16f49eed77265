"""The health check of the image asks the API in its own container, at its port and past any proxy."""

import asyncio
import os
import sys
from collections.abc import Sequence

import pytest

from tests.support.portal import settings_for
from tests.support.processes import free_port, running_api
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.proof


async def _ask(health_check: Sequence[str], port: int) -> int:
    """The exit status of the check in a container whose network leads through a proxy that is down."""
    interpreter, *arguments = health_check
    assert interpreter == "python"
    down = f"http://127.0.0.1:{free_port()}"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), down)
    environment = {**os.environ, **proxies, "PORTAL_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def test_it_finds_the_api_at_its_own_port(
    own_database_url: str, sandbox: Sandbox, health_check: list[str]
) -> None:
    async with running_api(settings_for(own_database_url, sandbox.url)) as api:
        assert api.client.base_url.port is not None
        assert await _ask(health_check, api.client.base_url.port) == 0


async def test_it_fails_if_no_api_answers(health_check: list[str]) -> None:
    assert await _ask(health_check, free_port()) == 1
