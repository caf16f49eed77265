"""The client's address is taken only from the proxies that the settings name."""

import httpx

from tests.support.callers import come_from
from tests.support.portal import settings_for
from tests.support.processes import running_api
from tests.support.sandbox import Sandbox


async def calls(portal: str, peer: str, *said: str) -> list[int]:
    """The statuses of requests from this address of this machine, each with what is said of its origin."""
    async with httpx.AsyncClient(
        base_url=portal, transport=httpx.AsyncHTTPTransport(local_address=peer)
    ) as client:
        return [(await client.get("/v1/documents", headers=come_from(origin))).status_code for origin in said]


async def test_only_a_trusted_proxy_sets_the_client_address(own_database_url: str, sandbox: Sandbox) -> None:
    settings = settings_for(
        own_database_url, sandbox.url, rate_limit_per_address=1, trusted_proxies=("127.0.0.8/30",)
    )
    # The server's own variable, which would trust every client, has no effect.
    async with running_api(settings, FORWARDED_ALLOW_IPS="*") as portal:
        # No token: 401, unless the address has had its one request.
        assert await calls(portal.url, "127.0.0.2", "192.0.2.1", "192.0.2.2", "192.0.2.3") == [401, 429, 429]
        assert await calls(portal.url, "127.0.0.9", "192.0.2.1", "192.0.2.2", "192.0.2.1") == [401, 401, 429]
        # Only the entry that the proxy added counts, not those that its client sent.
        forged = ("198.51.100.1, 192.0.2.9", "198.51.100.2, 192.0.2.9")
        assert await calls(portal.url, "127.0.0.9", *forged) == [401, 429]
