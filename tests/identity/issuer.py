"""A tiny OpenID Connect issuer with real keys, and a clock for both sides."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import httpx
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode

from app.settings import Settings

ISSUER = "https://issuer.test/tenant"
AUDIENCE = "portal"
Key = RSAKey | ECKey | OKPKey

_USUAL = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@cache
def rsa_key() -> RSAKey:
    """All issuers share it: making one takes longer than a whole test."""
    return RSAKey.generate_key(2048, {"kid": "rsa-1"})


class Issuer:
    """Publishes its keys over httpx's mock transport and signs tokens; every answer can be made to fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rsa = rsa_key()
        self.ec = ECKey.generate_key("P-256", {"kid": "ec-1"})
        self.published: list[dict[str, Any]] = [published(self.rsa), published(self.ec)]
        self.discovery: dict[str, Any] = {"issuer": ISSUER, "jwks_uri": "https://keys.test/jwks"}
        self.down = False
        self.raw_keys: bytes | None = None
        self.fetches = 0
        self.requests: list[httpx.Request] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.transport = httpx.MockTransport(self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/jwks":
            self.fetches += 1
            self.asked.set()
            await self.gate.wait()
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        if str(request.url) == f"{ISSUER}/.well-known/openid-configuration":
            return httpx.Response(200, json=self.discovery)
        if str(request.url) == "https://keys.test/jwks":
            return httpx.Response(200, content=_pieces(self.raw_keys or self._keys()))
        return httpx.Response(404)

    def _keys(self) -> bytes:
        return json.dumps({"keys": self.published}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a valid token; None removes a claim."""
        now = int(self.clock())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "customer-1",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "scope": "openid portal:ops",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, key: Key | None = None, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signed by hand, because joserfc writes only what it would accept itself."""
        key = key or self.rsa
        algorithm = "RS256" if isinstance(key, RSAKey) else _USUAL.get(str(key.curve_name), "EdDSA")
        spoken = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | (header or {})
        spoken = {name: value for name, value in spoken.items() if value is not None}
        parts = (json.dumps(part).encode() for part in (spoken, self.claims(**claims)))
        text = b".".join(map(urlsafe_b64encode, parts))
        signature = JWSRegistry.algorithms[spoken["alg"]].sign(text, key)
        return b".".join((text, urlsafe_b64encode(signature))).decode()


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """As a network delivers it."""
    middle = len(content) // 2
    yield content[:middle]
    yield content[middle:]


def published(key: Key) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig"}


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "environment": "production",
        "database_url": "postgresql://db.test/portal?sslmode=require",
        "digital_river_secret_key": "sk_test_identity",
        "digital_river_public_key": "pk_test_identity",
        "live_mode": False,
        "webhook_secrets": ["a-secret-of-the-tests"],
        "oidc_issuer": ISSUER,
        "oidc_audience": AUDIENCE,
        "public_url": "https://portal.test",
    }
    return Settings.model_validate(values | changes)
