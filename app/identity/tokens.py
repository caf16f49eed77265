"""Decides whether a bearer token is genuine, meant for us and still valid, and for whom it speaks."""

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

from app.identity import claims as reading
from app.identity.claims import RefusalError
from app.identity.keys import FETCH_SECONDS, IssuerKeys, PublishedKey
from app.identity.principal import Principal
from app.settings import Settings
from app.web.problems import Unauthenticated

log = structlog.get_logger(__name__)

LONGEST_TOKEN = 8192
# Certificate chains stand in headers, and providers put members of their own there.
LONGEST_HEADER = 4096
MOST_REMEMBERED = 10_000
# A key that the issuer withdraws stops working within this time, also for tokens seen before.
REMEMBERED_SECONDS = 300.0

_JSON_ERRORS = (JoseError, ValueError, TypeError, KeyError, RecursionError)

Json = dict[str, Any]


class _OneAlgorithm(JWSRegistry):
    """joserfc's rules for one algorithm, with room for longer headers. Unknown members are ignored (RFC 7515
    §4); keys.py pairs the algorithm with a kind of key."""

    max_header_length = LONGEST_HEADER

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)
        self._model = JWSRegistry.algorithms[algorithm]

    def get_alg(self, name: str) -> Any:
        # `EdDSA` comes with a warning that it has a successor (RFC 9864); issuers go on signing with it.
        if name != self._model.name:
            raise RefusalError("signed with another algorithm than announced")
        return self._model


class Tokens:
    """Verifies tokens of the configured issuers, remembering the good ones for a while."""

    def __init__(
        self,
        keys: Mapping[str, IssuerKeys],
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._audiences = {one.issuer: one.audience for one in settings.oidc_issuers}
        self._registries: dict[str, _OneAlgorithm] = {
            name: _OneAlgorithm(name) for name in settings.oidc_algorithms
        }
        self._now = now
        # Token hash → (principal, expiry, time until which it need not be verified again), oldest first.
        self._remembered: dict[bytes, tuple[Principal, float, float]] = {}

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
        """A verifier as the settings say; an issuer is asked at its first token, so it may start later."""
        async with httpx.AsyncClient(transport=transport, timeout=FETCH_SECONDS) as client:
            https_only = settings.environment == "production"
            keys = {
                one.issuer: IssuerKeys(
                    client, one.issuer, jwks_url=one.jwks_url, https_only=https_only, clock=clock
                )
                for one in settings.oidc_issuers
            }
            yield cls(keys, settings, now=now)

    async def verify(self, token: str) -> Principal:
        """For whom this token speaks.

        Raises:
            Unauthenticated: it is not a valid access token of our issuers for us.
            Unavailable: the issuer's keys cannot be had, so that nobody can tell.
        """
        name = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        now = self._now()
        if (remembered := self._remembered.get(name)) is not None:
            principal, expires, until = remembered
            if now < min(expires, until):
                return principal
            del self._remembered[name]
        try:
            genuine = await self._genuine(token)
            expires = self._check(genuine)
            principal = self._principal(genuine.claims)
        except RefusalError as refusal:
            log.info("token_refused", reason=str(refusal))
            raise _invalid("The access token is not valid, or not any more.") from None
        if len(self._remembered) >= MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[name] = (principal, expires, now + REMEMBERED_SECONDS)
        return principal

    async def _genuine(self, token: str) -> jwt.Token:
        if len(token) > LONGEST_TOKEN:
            raise RefusalError("longer than any of ours")
        header, claims = _announced(token)
        algorithm, key_id, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
        if not isinstance(algorithm, str) or algorithm not in self._registries:
            raise RefusalError("not an algorithm of ours")
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise RefusalError("another issuer")
        if key_id is not None and not isinstance(key_id, str):
            raise RefusalError("the name of its key is no text")
        # RFC 7515 §4.1.11: we understand no extension that must be understood, and RFC 7797 §7 forbids `b64`.
        if "crit" in header or header.get("b64") is False:
            raise RefusalError("demands what we do not understand")
        keys = self._keys[issuer]
        key = await keys.find_key(key_id, algorithm)
        try:
            return self._decode(token, algorithm, key)
        except BadSignatureError:
            if key_id is not None and key is not None and key.key_id is not None:
                raise RefusalError("a wrong signature") from None
        try:
            return self._decode(token, algorithm, await keys.find_key(key_id, algorithm, after=key))
        except BadSignatureError:
            raise RefusalError("a wrong signature, also with the newest key") from None

    def _decode(self, token: str, algorithm: str, key: PublishedKey | None) -> jwt.Token:
        if key is None:
            raise RefusalError("no published key has this id and algorithm")
        try:
            return jwt.decode(token, key.key, registry=self._registries[algorithm])
        except BadSignatureError:
            raise
        except _JSON_ERRORS as error:
            raise RefusalError(f"not verified: {type(error).__name__}") from None

    def _check(self, genuine: jwt.Token) -> float:
        """RFC 9068 §4, and RFC 8725. Returns the expiry, in seconds since the epoch."""
        header, claims = genuine.header, genuine.claims
        settings = self._settings
        reading.check_kind(header, claims, only_explicit=settings.oidc_require_access_token_type)
        reading.check_audience(claims, self._audiences[claims["iss"]], settings.oidc_accepted_client_ids)
        return reading.check_times(claims, self._now())

    def _principal(self, claims: Json) -> Principal:
        settings = self._settings
        return Principal(
            customer_id=reading.read_customer_id(claims, settings.oidc_customer_claim),
            subject=reading.read_subject(claims),
            scopes=reading.read_scopes(claims, settings.oidc_scope_claims, settings.oidc_scope_prefix),
        )


def _announced(token: str) -> tuple[Json, Json]:
    """Header and claims as they are written: enough to look a key up, not to believe anything."""
    header, _, rest = token.partition(".")
    return _object(header), _object(rest.partition(".")[0])


def _object(encoded: str) -> Json:
    try:
        found = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except _JSON_ERRORS:
        found = None
    if not isinstance(found, dict):
        raise RefusalError("not readable")
    return found


def _invalid(hint: str) -> Unauthenticated:
    return Unauthenticated(hint=hint, challenge='Bearer error="invalid_token"')
