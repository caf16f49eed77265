"""Caches the public keys of an issuer, so that tokens can be verified during its outages."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from app.web.problems import ServiceUnavailable

log = structlog.get_logger(__name__)

PublicKey = RSAKey | ECKey | OKPKey

FRESH_SECONDS = 600.0
# After this time the issuer may have withdrawn a key while we could not reach it.
STALE_SECONDS = 86_400.0
UNKNOWN_KEY_SECONDS = 10.0
RETRY_SECONDS = 2.0
FETCH_TIMEOUT_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 256 * 1024
MIN_RSA_BITS = 2048

# The algorithms of each kind of key (RFC 7518 §3, RFC 8037, RFC 9864). No algorithm is symmetric, so that a
# public key cannot serve as a shared secret. Each curve has its own algorithm (RFC 8725 §3.1 and §3.2).
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVE_ALGORITHMS: Mapping[tuple[str, str], frozenset[str]] = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
    ("OKP", "Ed448"): frozenset({"EdDSA", "Ed448"}),
}


class IssuerError(Exception):
    """The issuer's documents cannot be fetched, read or trusted."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key and the algorithms it may verify. The only key of an issuer may have no id."""

    key_id: str | None
    algorithms: frozenset[str]
    key: PublicKey


class IssuerKeys:
    """The signature keys of one OpenID Connect issuer, from `jwks_url` or else from the URL in its discovery
    document.

    Concurrent callers share one fetch. If the issuer fails, known keys stay valid for a day at most. An
    unknown key id causes one fetch, then none for ten seconds, so that invented ids cannot flood the issuer.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        issuer: str,
        *,
        jwks_url: str = "",
        https_only: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._https_only = https_only
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: Sequence[PublishedKey] = ()
        self._fetched_at = -STALE_SECONDS
        self._failed_at = -RETRY_SECONDS
        self._unknown_key_at = -UNKNOWN_KEY_SECONDS
        self._is_failing = False

    async def find_key(
        self, key_id: str | None, algorithm: str, *, excluding: PublishedKey | None = None
    ) -> PublishedKey | None:
        """The published key with this id and algorithm; without an id, the only key with this algorithm.

        Returns None if the issuer publishes no such key. `excluding` is a key that did not verify the token:
        an issuer may replace a key without an id by another one without an id.

        Raises:
            ServiceUnavailable: the key is not known, and the last request to the issuer failed.
        """

        def find_known() -> PublishedKey | None:
            key = _find_fitting(self._keys, key_id, algorithm)
            return None if key is excluding else key

        # While another caller fetches the keys, this caller need not wait for a key that is known.
        max_age = STALE_SECONDS if self._lock.locked() else FRESH_SECONDS
        if self._age() < max_age and (key := find_known()) is not None:
            return key
        async with self._lock:
            await self._refresh_unless_known(find_known)
        key = find_known() if self._age() < STALE_SECONDS else None
        if key is None and self._is_failing:
            raise ServiceUnavailable("Nobody can be signed in at the moment.", retry_after=RETRY_SECONDS)
        return key

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh_unless_known(self, find_known: Callable[[], PublishedKey | None]) -> None:
        now = self._clock()
        if now - self._failed_at < RETRY_SECONDS:
            return
        if self._age() < FRESH_SECONDS:
            if find_known() is not None or now - self._unknown_key_at < UNKNOWN_KEY_SECONDS:
                return
            self._unknown_key_at = now
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                self._keys = await self._fetch_keys()
        except (httpx.HTTPError, TimeoutError, IssuerError) as error:
            self._failed_at, self._is_failing = self._clock(), True
            log.warning(
                "issuer_keys_failed", error=type(error).__name__, reason=str(error), known=len(self._keys)
            )
        else:
            self._fetched_at, self._is_failing = self._clock(), False
            log.info("issuer_keys_fetched", known=len(self._keys))

    async def _fetch_keys(self) -> Sequence[PublishedKey]:
        published = (await self._fetch_document(self._jwks_url or await self._fetch_jwks_url())).get("keys")
        keys = _import_usable(published) if isinstance(published, list) else []
        if not keys:
            raise IssuerError("the issuer publishes no usable key")
        return keys

    async def _fetch_jwks_url(self) -> str:
        discovery = await self._fetch_document(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        # OpenID Connect Discovery §4.3: without an exact match another issuer could offer its own keys.
        if discovery.get("issuer") != self._issuer:
            raise IssuerError("the discovery document names another issuer")
        url = discovery.get("jwks_uri")
        if not isinstance(url, str):
            raise IssuerError("the discovery document names no jwks_uri")
        return url

    async def _fetch_document(self, url: str) -> dict[str, Any]:
        if self._https_only and not url.startswith("https://"):
            raise IssuerError("a document is not served over https")
        content = bytearray()
        # `identity` forbids compression, so the limit counts the bytes on the wire.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    raise IssuerError(f"status {response.status_code}")
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > MAX_DOCUMENT_BYTES:
                        raise IssuerError("a document is too long")
            document = json.loads(content)
        except (httpx.InvalidURL, ValueError, RecursionError):
            raise IssuerError("a document or its address cannot be read") from None
        if not isinstance(document, dict):
            raise IssuerError("a document is not a JSON object")
        return document


def _find_fitting(keys: Sequence[PublishedKey], key_id: str | None, algorithm: str) -> PublishedKey | None:
    fitting = [key for key in keys if algorithm in key.algorithms]
    if key_id is not None:
        named = [key for key in fitting if key.key_id == key_id]
        if named:
            return named[0]
    # OpenID Connect Core §10.1: a key may lack an id only if the issuer has no other key.
    if len(fitting) == 1 and None in {key_id, fitting[0].key_id}:
        return fitting[0]
    return None


def _import_usable(published: list[Any]) -> list[PublishedKey]:
    """The keys that can verify our kinds of signature. Other keys are skipped."""
    keys = []
    for jwk in published:
        if not isinstance(jwk, dict) or not _may_verify(jwk):
            continue
        key_id = jwk.get("kid")
        try:
            algorithms, key = _import_key(jwk)
        except (JoseError, ValueError, TypeError, KeyError):
            log.warning("issuer_key_unusable", key_id=key_id)
            continue
        if jwk.get("alg") is not None:
            algorithms &= {jwk["alg"]}
        if algorithms:
            keys.append(PublishedKey(key_id, algorithms, key))
    return keys


def _may_verify(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    is_for_signatures = (
        jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )
    return is_for_signatures and all(
        jwk.get(name) is None or isinstance(jwk[name], str) for name in ("kid", "alg")
    )


def _import_key(jwk: Mapping[str, Any]) -> tuple[frozenset[str], PublicKey]:
    """The public part of the key, and the algorithms that this kind of key may verify here."""
    key_type = jwk.get("kty")
    if key_type == "RSA":
        modulus = int.from_bytes(base64.urlsafe_b64decode(jwk["n"] + "=="))
        if modulus.bit_length() < MIN_RSA_BITS:
            raise ValueError("too short")
        return _RSA_ALGORITHMS, RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
    algorithms = _CURVE_ALGORITHMS[str(key_type), str(jwk["crv"])]
    point = {"crv": jwk["crv"], "x": jwk["x"]}
    if key_type == "OKP":
        return algorithms, OKPKey.import_key({"kty": "OKP", **point})
    return algorithms, ECKey.import_key({"kty": "EC", **point, "y": jwk["y"]})
