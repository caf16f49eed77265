"""The issuer's public keys, fetched as rarely as possible and kept through its outages."""

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
# After this a key may have been withdrawn for good reason while we could not hear of it.
STALE_SECONDS = 86_400.0
UNKNOWN_COOL_DOWN_SECONDS = 10.0
RETRY_SECONDS = 2.0
FETCH_SECONDS = 5.0
DOCUMENT_LIMIT = 256 * 1024
SMALLEST_RSA_BITS = 2048

# What each kind of key can verify (RFC 7518 §3, RFC 8037, RFC 9864). None of it is symmetric, so that no
# public key can serve as a shared secret, and a curve belongs to one algorithm (RFC 8725 §3.1 and §3.2).
_OF_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_OF_CURVES: Mapping[tuple[str, str], frozenset[str]] = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
    ("OKP", "Ed448"): frozenset({"EdDSA", "Ed448"}),
}


class IssuerError(Exception):
    """The issuer's documents cannot be had or cannot be trusted."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key that may verify signatures of these algorithms; the only one of an issuer may have no id."""

    key_id: str | None
    algorithms: frozenset[str]
    key: PublicKey


class IssuerKeys:
    """The signature keys that one OpenID Connect issuer publishes now, where its discovery document says, or
    at a `jwks_url` of their own.

    Concurrent callers share one fetch. Known keys are served while the issuer fails, for a day at most. An
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
        self._unknown_at = -UNKNOWN_COOL_DOWN_SECONDS
        self._is_failing = False

    async def find_key(
        self, key_id: str | None, algorithm: str, *, after: PublishedKey | None = None
    ) -> PublishedKey | None:
        """The published key of this id that fits the algorithm; without an id, the only one that does.

        `after` is one that did not verify: a key without a name may have a successor without a name.

        Raises:
            Unavailable: this key is not known, and the issuer did not answer when it was asked last.
        """

        def known() -> PublishedKey | None:
            found = _fitting(self._keys, key_id, algorithm)
            return None if found is after else found

        # Whoever comes while another one fetches need not wait for a key that is known.
        patience = STALE_SECONDS if self._lock.locked() else FRESH_SECONDS
        if self._age() < patience and (key := known()) is not None:
            return key
        async with self._lock:
            await self._refresh_unless(known)
        key = known() if self._age() < STALE_SECONDS else None
        if key is None and self._is_failing:
            raise ServiceUnavailable("Nobody can be signed in at the moment.", retry_after=RETRY_SECONDS)
        return key

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh_unless(self, known: Callable[[], PublishedKey | None]) -> None:
        now = self._clock()
        if now - self._failed_at < RETRY_SECONDS:
            return
        if self._age() < FRESH_SECONDS:
            if known() is not None or now - self._unknown_at < UNKNOWN_COOL_DOWN_SECONDS:
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

    async def _fetch_keys(self) -> Sequence[PublishedKey]:
        published = (await self._fetch_document(self._jwks_url or await self._discover())).get("keys")
        keys = _usable(published) if isinstance(published, list) else []
        if not keys:
            raise IssuerError("no usable key is published")
        return keys

    async def _discover(self) -> str:
        found = await self._fetch_document(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        # OpenID Connect Discovery §4.3: an exact match, or another issuer could vouch for its own keys.
        if found.get("issuer") != self._issuer:
            raise IssuerError("the discovery document names another issuer")
        address = found.get("jwks_uri")
        if not isinstance(address, str):
            raise IssuerError("the discovery document names no jwks_uri")
        return address

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


def _fitting(keys: Sequence[PublishedKey], key_id: str | None, algorithm: str) -> PublishedKey | None:
    fitting = [one for one in keys if algorithm in one.algorithms]
    if key_id is not None:
        named = [one for one in fitting if one.key_id == key_id]
        if named:
            return named[0]
    # OpenID Connect Core §10.1: only where there is a single key may it go without a name.
    if len(fitting) == 1 and None in {key_id, fitting[0].key_id}:
        return fitting[0]
    return None


def _usable(published: list[Any]) -> list[PublishedKey]:
    """Whatever cannot verify our kinds of signature is left out."""
    keys = []
    for given in published:
        if not isinstance(given, dict) or not _may_verify(given):
            continue
        key_id = given.get("kid")
        try:
            algorithms, key = _imported(given)
        except (JoseError, ValueError, TypeError, KeyError):
            log.warning("issuer_key_unusable", key_id=key_id)
            continue
        if given.get("alg") is not None:
            algorithms &= {given["alg"]}
        if algorithms:
            keys.append(PublishedKey(key_id, algorithms, key))
    return keys


def _may_verify(given: Mapping[str, Any]) -> bool:
    operations = given.get("key_ops", ["verify"])
    is_meant = given.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    return is_meant and all(
        given.get(name) is None or isinstance(given[name], str) for name in ("kid", "alg")
    )


def _imported(given: Mapping[str, Any]) -> tuple[frozenset[str], PublicKey]:
    """The public half, and the algorithms that this kind of key is used with here."""
    kind = given.get("kty")
    if kind == "RSA":
        modulus = int.from_bytes(base64.urlsafe_b64decode(given["n"] + "=="))
        if modulus.bit_length() < SMALLEST_RSA_BITS:
            raise ValueError("too short")
        return _OF_RSA, RSAKey.import_key({"kty": "RSA", "n": given["n"], "e": given["e"]})
    algorithms = _OF_CURVES[str(kind), str(given["crv"])]
    half = {"crv": given["crv"], "x": given["x"]}
    if kind == "OKP":
        return algorithms, OKPKey.import_key({"kty": "OKP", **half})
    return algorithms, ECKey.import_key({"kty": "EC", **half, "y": given["y"]})
