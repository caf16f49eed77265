"""The issuer's public keys, fetched as rarely as possible and kept through its outages."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from app.web.problems import Unavailable

log = structlog.get_logger(__name__)

PublicKey = RSAKey | ECKey

FRESH_SECONDS = 600.0
# After this a key may have been withdrawn for good reason while we could not hear of it.
STALE_SECONDS = 86_400.0
UNKNOWN_COOL_DOWN_SECONDS = 10.0
RETRY_SECONDS = 2.0
FETCH_SECONDS = 5.0
DOCUMENT_LIMIT = 256 * 1024
SMALLEST_RSA_BITS = 2048


class IssuerError(Exception):
    """The issuer's documents cannot be had or cannot be trusted."""


class IssuerKeys:
    """The signature keys that one OpenID Connect issuer publishes now.

    Concurrent callers share one fetch. Known keys are served while the issuer fails, for a day at most. An
    unknown key id causes one fetch, then none for ten seconds, so that invented ids cannot flood the issuer.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        issuer: str,
        *,
        https_only: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._issuer = issuer
        self._https_only = https_only
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: dict[tuple[str, str], PublicKey] = {}
        self._fetched_at = -STALE_SECONDS
        self._failed_at = -RETRY_SECONDS
        self._unknown_at = -UNKNOWN_COOL_DOWN_SECONDS
        self._is_failing = False

    async def find_key(self, key_id: str, algorithm: str) -> PublicKey | None:
        """The published key of this id that fits the algorithm.

        Raises:
            Unavailable: this key is not known, and the issuer did not answer when it was asked last.
        """
        name = (key_id, algorithm)
        if self._age() < FRESH_SECONDS and name in self._keys:
            return self._keys[name]
        # Whoever comes while another one fetches need not wait for a key that is known.
        if self._lock.locked() and self._age() < STALE_SECONDS and name in self._keys:
            return self._keys[name]
        async with self._lock:
            await self._refresh_for(name)
        known = self._keys.get(name) if self._age() < STALE_SECONDS else None
        if known is None and self._is_failing:
            raise Unavailable("Nobody can be signed in at the moment.", retry_after=RETRY_SECONDS)
        return known

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh_for(self, name: tuple[str, str]) -> None:
        now = self._clock()
        if now - self._failed_at < RETRY_SECONDS:
            return
        if self._age() < FRESH_SECONDS:
            if name in self._keys or now - self._unknown_at < UNKNOWN_COOL_DOWN_SECONDS:
                return
            self._unknown_at = now
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = await self._fetch_keys()
        except (httpx.HTTPError, TimeoutError, IssuerError) as error:
            self._failed_at, self._is_failing = self._clock(), True
            log.warning(
                "issuer_keys_failed", error=type(error).__name__, reason=str(error), known=len(self._keys)
            )
        else:
            self._fetched_at, self._is_failing = self._clock(), False
            log.info("issuer_keys_fetched", known=len(self._keys))

    async def _fetch_keys(self) -> dict[tuple[str, str], PublicKey]:
        found = await self._fetch_document(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        # OpenID Connect Discovery §4.3: an exact match, or another issuer could vouch for its own keys.
        if found.get("issuer") != self._issuer:
            raise IssuerError("the discovery document names another issuer")
        address = found.get("jwks_uri")
        if not isinstance(address, str):
            raise IssuerError("the discovery document names no jwks_uri")
        published = (await self._fetch_document(address)).get("keys")
        keys = _usable(published) if isinstance(published, list) else {}
        if not keys:
            raise IssuerError("no usable key is published")
        return keys

    async def _fetch_document(self, address: str) -> dict[str, Any]:
        if self._https_only and not address.startswith("https://"):
            raise IssuerError("a document is not served over https")
        content = bytearray()
        # Asked for uncompressed, so that the limit counts what travels.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            async with self._client.stream("GET", address, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    raise IssuerError(f"status {response.status_code}")
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > DOCUMENT_LIMIT:
                        raise IssuerError("a document is too long")
            document = json.loads(content)
        except (httpx.InvalidURL, ValueError, RecursionError):
            raise IssuerError("a document or its address cannot be read") from None
        if not isinstance(document, dict):
            raise IssuerError("a document is not a JSON object")
        return document


def _usable(published: list[Any]) -> dict[tuple[str, str], PublicKey]:
    """By key id and algorithm; whatever cannot verify our kinds of signature is left out."""
    keys: dict[tuple[str, str], PublicKey] = {}
    for given in published:
        if not isinstance(given, dict) or not isinstance(given.get("kid"), str) or not _may_verify(given):
            continue
        try:
            algorithm, key = _imported(given)
        except (JoseError, ValueError, TypeError, KeyError):
            log.warning("issuer_key_unusable", key_id=given["kid"])
            continue
        if given.get("alg", algorithm) == algorithm:
            keys[given["kid"], algorithm] = key
    return keys


def _may_verify(given: Mapping[str, Any]) -> bool:
    operations = given.get("key_ops", ["verify"])
    return given.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _imported(given: Mapping[str, Any]) -> tuple[str, PublicKey]:
    """The public half, and the one algorithm that this kind of key is used with here."""
    if given.get("kty") == "RSA":
        modulus = int.from_bytes(base64.urlsafe_b64decode(given["n"] + "=="))
        if modulus.bit_length() < SMALLEST_RSA_BITS:
            raise ValueError("too short")
        return "RS256", RSAKey.import_key({"kty": "RSA", "n": given["n"], "e": given["e"]})
    if given.get("kty") == "EC" and given.get("crv") == "P-256":
        return "ES256", ECKey.import_key({"kty": "EC", "crv": "P-256", "x": given["x"], "y": given["y"]})
    raise ValueError("not a kind of key that is used here")
