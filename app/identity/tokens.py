"""Decides whether a bearer token is genuine, meant for us and still valid, and for whom it speaks."""

import base64
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import JoseError

from app.identity.keys import FETCH_SECONDS, IssuerKeys
from app.identity.principal import Principal
from app.ids import CustomerId
from app.settings import Settings
from app.web.path_ids import ID_PATTERN
from app.web.problems import Unauthenticated

log = structlog.get_logger(__name__)

# Asymmetric only, so that no public key can serve as a shared secret; keys.py pairs each with a kind of key.
ALGORITHMS = ("RS256", "ES256")
LONGEST_TOKEN = 8192
LONGEST_SUBJECT = 255
LATEST_MOMENT = 1e11
LONGEST_CUSTOMER_ID = 40  # Digital River docs, Customers
CLOCK_LEEWAY_SECONDS = 30.0
MOST_REMEMBERED = 10_000
# A key that the issuer withdraws stops working within this time, also for tokens seen before.
REMEMBERED_SECONDS = 300.0

_CUSTOMER_ID = re.compile(ID_PATTERN, re.ASCII)
_JSON_ERRORS = (JoseError, ValueError, TypeError, KeyError, RecursionError)


class RefusalError(Exception):
    """Why a token is not accepted; for the log."""


class Tokens:
    """Verifies tokens of one issuer for one audience, remembering the good ones for a while."""

    def __init__(
        self,
        keys: IssuerKeys,
        *,
        issuer: str,
        audience: str,
        customer_claim: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._customer_claim = customer_claim
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
        """A verifier as the settings say; the issuer is asked at the first token, so it may start later."""
        async with httpx.AsyncClient(transport=transport, timeout=FETCH_SECONDS) as client:
            https_only = settings.environment == "production"
            yield cls(
                IssuerKeys(client, settings.oidc_issuer, https_only=https_only, clock=clock),
                issuer=settings.oidc_issuer,
                audience=settings.oidc_audience,
                customer_claim=settings.oidc_customer_claim,
                now=now,
            )

    async def verify(self, token: str) -> Principal:
        """For whom this token speaks.

        Raises:
            Unauthenticated: it is not a valid token of our issuer for us.
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
            claims = await self._genuine_claims(token)
            expires = self._check_claims(claims)
            principal = self._principal(claims)
        except RefusalError as refusal:
            log.info("token_refused", reason=str(refusal))
            raise _invalid("The access token is not valid, or not any more.") from None
        if len(self._remembered) >= MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[name] = (principal, expires, now + REMEMBERED_SECONDS)
        return principal

    async def _genuine_claims(self, token: str) -> dict[str, Any]:
        if len(token) > LONGEST_TOKEN:
            raise RefusalError("longer than any of ours")
        key_id, algorithm = _announced(token)
        key = await self._keys.find_key(key_id, algorithm)
        if key is None:
            raise RefusalError("no published key has this id and algorithm")
        try:
            return jwt.decode(token, key, algorithms=[algorithm]).claims
        except _JSON_ERRORS as error:
            raise RefusalError(f"not verified: {type(error).__name__}") from None

    def _check_claims(self, claims: Mapping[str, Any]) -> float:
        """RFC 9068 §4. Returns the expiry, in seconds since the epoch."""
        if claims.get("iss") != self._issuer:
            raise RefusalError("another issuer")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise RefusalError("meant for somebody else")
        now = self._now()
        expires = _moment(claims, "exp")
        if expires is None:
            raise RefusalError("no expiry")
        if now >= expires:
            raise RefusalError("expired")
        for name in ("nbf", "iat"):
            begins = _moment(claims, name)
            if begins is not None and begins > now + CLOCK_LEEWAY_SECONDS:
                raise RefusalError(f"{name} lies in the future")
        return expires

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise RefusalError("no usable subject")
        return Principal(
            customer_id=_customer_id(claims.get(self._customer_claim)),
            subject=subject,
            scopes=_scopes(claims),
        )


def _announced(token: str) -> tuple[str, str]:
    """Key id and algorithm as the header says: enough to look a key up, not to believe anything."""
    encoded = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        key_id, algorithm = header["kid"], header["alg"]
    except _JSON_ERRORS:
        raise RefusalError("no readable header with kid and alg") from None
    if not isinstance(key_id, str) or algorithm not in ALGORITHMS:
        raise RefusalError("not an algorithm of ours")
    return key_id, algorithm


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusalError(f"{name} is not a time")
    # JSON knows integers that no float can hold, and Python's parser lets Infinity and NaN pass.
    if not 0 <= value < LATEST_MOMENT:
        raise RefusalError(f"{name} is out of range")
    return float(value)


def _customer_id(value: object) -> CustomerId | None:
    if isinstance(value, str) and len(value) <= LONGEST_CUSTOMER_ID and _CUSTOMER_ID.fullmatch(value):
        return CustomerId(value)
    return None


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """From `scope` (RFC 9068: text, separated by spaces) or `scp` (a list, as some issuers write it)."""
    granted = claims.get("scope", claims.get("scp"))
    if isinstance(granted, str):
        return frozenset(granted.split())
    if isinstance(granted, list):
        return frozenset(one for one in granted if isinstance(one, str))
    return frozenset()


def _invalid(hint: str) -> Unauthenticated:
    return Unauthenticated(hint=hint, challenge='Bearer error="invalid_token"')
