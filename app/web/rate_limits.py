"""Limits the requests of one buyer and of one address, so that neither can use up the API.

RateLimit headers (draft-ietf-httpapi-ratelimit-headers-11) warn the client before it gets a 429.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Literal

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from app.db.token_buckets import WINDOW_SECONDS, TokenBuckets
from app.settings import Settings
from app.web.problems import TooManyRequests

LIMITED_PREFIX = "/v1/"
# A provider gives one customer a network of this size, whose addresses the customer can change at will.
IPV6_PREFIX_LENGTH = 64

LimitKind = Literal["address", "buyer"]

RATE_LIMITED = Counter(
    "portal_rate_limited", "Requests refused with 429, by whose limit was reached.", ["by"]
)


class RateLimits:
    """The sizes of the limits, and the buckets that count the requests."""

    def __init__(self, buckets: TokenBuckets, settings: Settings) -> None:
        self.buckets = buckets
        self.sizes: dict[LimitKind, int] = {
            "address": settings.rate_limit_per_address,
            "buyer": settings.rate_limit_per_buyer,
        }
        policies = (f'"{by}";q={size};w={WINDOW_SECONDS}' for by, size in self.sizes.items())
        self.policy = ", ".join(policies).encode()


class RequestQuota:
    """Counts one request against the limits, and reports them in the headers of the answer."""

    SCOPE = "portal_request_quota"

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._reported: list[str] = []

    async def count(self, by: LimitKind, name: str) -> None:
        """Count the request against the limit of the buyer or address with this name.

        Raises:
            TooManyRequests: the limit is reached.
        """
        size = self._limits.sizes[by]
        state = await self._limits.buckets.take(f"{by} {name}", size)
        if state is None:
            return
        # The number of remaining requests does not grow before this time, even if none of them is used.
        wait = max(1, ceil(WINDOW_SECONDS / size if state.is_admitted else state.wait))
        self._reported.append(f'"{by}";r={state.remaining};t={wait}')
        if not state.is_admitted:
            RATE_LIMITED.labels(by).inc()
            raise TooManyRequests(retry_after=wait)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The RateLimit headers of the answer."""
        policy = (b"ratelimit-policy", self._limits.policy)
        return [policy, (b"ratelimit", ", ".join(self._reported).encode())] if self._reported else [policy]


class AddressLimit:
    """Counts each request under LIMITED_PREFIX by its address, before it costs anything else.

    Leaves the `RequestQuota` in the scope. Needs `app.state.resources.limits`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(LIMITED_PREFIX):
            quota = scope[RequestQuota.SCOPE] = RequestQuota(scope["app"].state.resources.limits)
            client = scope.get("client")
            await quota.count("address", network_of(client[0] if client else ""))
        await self._app(scope, receive, send)


@lru_cache(maxsize=4096)
def network_of(host: str) -> str:
    """The name under which a client address is counted: an IPv4 address, an IPv6 network, or `unknown`."""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), IPV6_PREFIX_LENGTH), strict=False))
