"""Callers that no rate limit has counted yet, and what the headers of their answers say."""

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any
from uuid import uuid4

import httpx

from tests.support.portal import Portal
from tests.support.sandbox import Sandbox

PER_BUYER = 60
PER_ADDRESS = 20


def new_address() -> str:
    return str(IPv4Address("10.0.0.0") + secrets.randbelow(2**24))


def new_buyer() -> str:
    return f"buyer-{uuid4().hex[:12]}"


def come_from(address: str) -> dict[str, str]:
    """The header in which a proxy on this machine names its client's address."""
    return {"X-Forwarded-For": address}


def remaining(answer: httpx.Response) -> dict[str, int]:
    """How many requests are left, for the buyer and for the address."""
    items = re.findall(r'"(\w+)";r=(\d+);t=\d+', answer.headers.get("RateLimit", ""))
    return {by: int(count) for by, count in items}


def refused_for(answer: httpx.Response) -> str | None:
    """Whose limit was reached; None for all other answers."""
    if answer.status_code != 429:
        return None
    assert answer.json()["type"] == "urn:portal:problem:too-many-requests"
    # What refuses is counted last.
    by, count = list(remaining(answer).items())[-1]
    assert count == 0
    return by


@dataclass
class Callers:
    """Both portals. Each request comes from an address of its own, unless one is given."""

    one: Portal
    other: Portal
    sandbox: Sandbox

    async def ask(
        self,
        portal: Portal,
        token: Mapping[str, str],
        *,
        path: str = "/v1/documents",
        method: str = "GET",
        address: str | None = None,
        **more: Any,
    ) -> httpx.Response:
        headers = {**token, **come_from(address or new_address())}
        return await portal.client.request(method, path, headers=headers, **more)

    async def exhaust(
        self, portal: Portal, token: Mapping[str, str], *, address: str | None = None
    ) -> httpx.Response:
        """Ask until it is refused, and return the refusal."""
        for _ in range(20):
            answers = await asyncio.gather(*(self.ask(portal, token, address=address) for _ in range(20)))
            for answer in answers:
                if answer.status_code == 429:
                    return answer
        raise AssertionError("nothing was ever refused")
