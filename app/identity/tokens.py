"""Decides whether a bearer token is genuine, for us and still valid, and reads the caller from it."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jws import JWSRegistry

from app.identity import claims as token_claims
from app.identity.claims import TokenRefused
from app.identity.keys import FETCH_TIMEOUT_SECONDS, IssuerKeys, PublishedKey
from app.identity.principal import Principal
from app.settings import Settings
from app.tls import client_context
from app.web.problems import Unauthenticated

log = structlog.get_logger(__name__)

MAX_TOKEN_LENGTH = 8192
# A header may hold a certificate chain and members of the provider's own.
MAX_HEADER_LENGTH = 4096
CACHE_SIZE = 10_000
# If the issuer withdraws a key, tokens in the cache stop working within this time.
CACHE_SECONDS = 300.0

_JSON_ERRORS = (JoseError, ValueError, TypeError, KeyError, RecursionError)

JsonObject = dict[str, Any]


class _AlgorithmRegistry(JWSRegistry):
    """joserfc's rules for one algorithm, but with a higher limit for headers. Unknown members are ignored
    (RFC 7515 §4). `keys.py` pairs the algorithm with a kind of key."""

    max_header_length = MAX_HEADER_LENGTH

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)
        self._model = JWSRegistry.algorithms[algorithm]

    def get_alg(self, name: str) -> Any:
        # joserfc warns that `EdDSA` has a successor (RFC 9864), but issuers still sign with it.
        if name != self._model.name:
            raise TokenRefused("it is signed with another algorithm than announced")
        return self._model


class TokenVerifier:
    """Verifies tokens of the configured issuers, and caches the valid ones for a short time."""

    def __init__(
        self,
        keys: Mapping[str, IssuerKeys],
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._audiences = {trusted.issuer: trusted.audience for trusted in settings.oidc_issuers}
        self._registries: dict[str, _AlgorithmRegistry] = {
            name: _AlgorithmRegistry(name) for name in settings.oidc_algorithms
        }
        self._now = now
        # Token hash → (principal, expiry of the token, expiry of this entry), the oldest entry first.
        self._cache: dict[bytes, tuple[Principal, float, float]] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator[Self]:
        """A verifier for the issuers in the settings. It contacts an issuer at that issuer's first token."""
        async with httpx.AsyncClient(
            transport=transport, verify=client_context(), timeout=FETCH_TIMEOUT_SECONDS
        ) as client:
            https_only = settings.environment == "production"
            keys = {
                trusted.issuer: IssuerKeys(
                    client, trusted.issuer, jwks_url=trusted.jwks_url, https_only=https_only, clock=clock
                )
                for trusted in settings.oidc_issuers
            }
            yield cls(keys, settings, now=now)

    async def verify(self, token: str) -> Principal:
        """The principal that this token names.

        Raises:
            Unauthenticated: it is not a valid access token of a configured issuer for our audience.
            ServiceUnavailable: the issuer's keys cannot be fetched.
        """
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        now = self._now()
        if (cached := self._cache.get(digest)) is not None:
            principal, expires, until = cached
            if now < min(expires, until):
                return principal
            del self._cache[digest]
        try:
            verified = await self._verify_signature(token)
            expires = self._check_claims(verified)
            principal = self._read_principal(verified.claims)
        except TokenRefused as refusal:
            log.info("token_refused", reason=str(refusal))
            raise _invalid("The access token is not valid, or not any more.") from None
        if len(self._cache) >= CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        self._cache[digest] = (principal, expires, now + CACHE_SECONDS)
        return principal

    async def _verify_signature(self, token: str) -> jwt.Token:
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenRefused("it is too long")
        header, claims = _read_unverified(token)
        algorithm, key_id, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
        if not isinstance(algorithm, str) or algorithm not in self._registries:
            raise TokenRefused("its algorithm is not accepted")
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise TokenRefused("its issuer is not configured")
        if key_id is not None and not isinstance(key_id, str):
            raise TokenRefused("its key id is not text")
        # We support no critical extension (RFC 7515 §4.1.11), and RFC 7797 §7 forbids `b64` in a JWT.
        if "crit" in header or header.get("b64") is False:
            raise TokenRefused("it uses a critical extension")
        keys = self._keys[issuer]
        key = await keys.find_key(key_id, algorithm)
        try:
            return self._decode(token, algorithm, key)
        except BadSignatureError:
            if key_id is not None and key is not None and key.key_id is not None:
                raise TokenRefused("its signature is wrong") from None
        try:
            return self._decode(token, algorithm, await keys.find_key(key_id, algorithm, excluding=key))
        except BadSignatureError:
            raise TokenRefused("its signature is wrong, also with the newest key") from None

    def _decode(self, token: str, algorithm: str, key: PublishedKey | None) -> jwt.Token:
        if key is None:
            raise TokenRefused("no published key has this id and algorithm")
        try:
            return jwt.decode(token, key.key, registry=self._registries[algorithm])
        except BadSignatureError:
            raise
        except _JSON_ERRORS as error:
            raise TokenRefused(f"it cannot be verified: {type(error).__name__}") from None

    def _check_claims(self, verified: jwt.Token) -> float:
        """Check the claims by RFC 9068 §4 and RFC 8725. Returns the expiry, in seconds since the epoch."""
        header, claims = verified.header, verified.claims
        settings = self._settings
        token_claims.check_token_type(
            header, claims, require_header_type=settings.oidc_require_access_token_type
        )
        token_claims.check_audience(claims, self._audiences[claims["iss"]], settings.oidc_accepted_client_ids)
        return token_claims.check_times(claims, self._now())

    def _read_principal(self, claims: JsonObject) -> Principal:
        settings = self._settings
        return Principal(
            customer_id=token_claims.read_customer_id(claims, settings.oidc_customer_claim),
            subject=token_claims.read_subject(claims),
            scopes=token_claims.read_scopes(claims, settings.oidc_scope_claims, settings.oidc_scope_prefix),
        )


def _read_unverified(token: str) -> tuple[JsonObject, JsonObject]:
    """Header and claims before verification. Use them only to find the key."""
    header, _, rest = token.partition(".")
    return _decode_object(header), _decode_object(rest.partition(".")[0])


def _decode_object(encoded: str) -> JsonObject:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except _JSON_ERRORS:
        decoded = None
    if not isinstance(decoded, dict):
        raise TokenRefused("it cannot be read")
    return decoded


def _invalid(hint: str) -> Unauthenticated:
    return Unauthenticated(hint=hint, challenge='Bearer error="invalid_token"')
