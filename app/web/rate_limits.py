"""Keeps one buyer, or one address, from taking the frontend API away from all others: 429, and headers that
warn before (draft-ietf-httpapi-ratelimit-headers-11)."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Literal

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from app.db.token_buckets import WINDOW_SECONDS, TokenBuckets
from app.settings import Settings
from app.web.problems import TooManyRequests

LIMITED = "/v1/"
# What one customer of a provider is given, and changes the rest of at will.
IPV6_NETWORK = 64

By = Literal["address", "buyer"]

REFUSED = Counter("portal_rate_limited", "Requests refused with 429, by whose limit was reached.", ["by"])


class RateLimits:
    """How many requests of each kind of caller pass in a window, and the buckets that know how many did."""

    def __init__(self, buckets: TokenBuckets, settings: Settings) -> None:
        self.buckets = buckets
        self.sizes: dict[By, int] = {
            "address": settings.rate_limit_per_address,
            "buyer": settings.rate_limit_per_buyer,
        }
        policies = (f'"{by}";q={size};w={WINDOW_SECONDS}' for by, size in self.sizes.items())
        self.policy = ", ".join(policies).encode()


class RequestQuota:
    """How one request stands with the limits: counted when it is known whose it is, told with the answer."""

    SCOPE = "portal_tally"

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._told: list[str] = []

    async def count(self, by: By, who: str) -> None:
        """Count the request as one of theirs.

        Raises:
            TooManyRequests: they have made too many.
        """
        size = self._limits.sizes[by]
        standing = await self._limits.buckets.take(f"{by} {who}", size)
        if standing is None:
            return
        # Within so many seconds there are no more than those, even if not one of them is used.
        wait = max(1, ceil(WINDOW_SECONDS / size if standing.is_admitted else standing.wait))
        self._told.append(f'"{by}";r={standing.remaining};t={wait}')
        if not standing.is_admitted:
            REFUSED.labels(by).inc()
            raise TooManyRequests(retry_after=wait)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the answer says of it."""
        policy = (b"ratelimit-policy", self._limits.policy)
        return [policy, (b"ratelimit", ", ".join(self._told).encode())] if self._told else [policy]


class AddressLimit:
    """Opens the tally of each request below LIMITED, and counts it by where it came from, before anything
    is spent on it. `app.state.resources.limits` must be there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(LIMITED):
            tally = scope[RequestQuota.SCOPE] = RequestQuota(scope["app"].state.resources.limits)
            client = scope.get("client")
            await tally.count("address", origin_of(client[0] if client else ""))
        await self._app(scope, receive, send)


@lru_cache(maxsize=4096)
def origin_of(host: str) -> str:
    """Who stands behind this address: itself, or its network of IPv6; all that is no address are one."""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), IPV6_NETWORK), strict=False))
