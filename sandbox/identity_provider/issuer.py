"""The issuer of tokens for development and tests: signs tokens for any customer and publishes its keys."""

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64encode
from pydantic import Field

from sandbox.json_types import JsonModel
from sandbox.state.store import new_id


class TokenRequest(JsonModel):
    """The token to issue. `HS256` signs with the public key as the secret, `none` does not sign.

    A correct verifier rejects both, and also `key: foreign`.
    """

    customer_id: str
    scopes: list[str] = Field(default_factory=list)
    expires_in: int = 3600
    audience: str | None = None
    issuer: str | None = None
    key: Literal["current", "foreign"] = "current"
    algorithm: Literal["RS256", "RS384", "RS512", "PS256", "HS256", "none"] = "RS256"
    claims: dict[str, Any] = Field(default_factory=dict)


def _new_key() -> RSAKey:
    # `use` and `alg` are only in the published form, because the issuer also signs with wrong algorithms.
    return RSAKey.generate_key(2048, {"kid": new_id()})


@dataclass
class Issuer:
    """Holds the signing keys for the life of the process. `rotate` adds a new key."""

    url: str
    audience: str
    keys: list[RSAKey] = field(default_factory=lambda: [_new_key()])
    foreign: RSAKey = field(default_factory=_new_key)

    def rotate(self, *, keep_old: bool = True) -> str:
        """Add a key and return its id. With `keep_old` false, the old keys are no longer published."""
        key = _new_key()
        self.keys = [key, *self.keys] if keep_old else [key]
        return _kid(key)

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
        }

    def published_keys(self) -> dict[str, Any]:
        purpose = {"use": "sig", "alg": "RS256"}
        return {"keys": [{**key.as_dict(private=False), **purpose} for key in self.keys]}

    def issue_token(self, requested: TokenRequest) -> str:
        """A token with times of the real clock. `sub` is the customer id, `scope` is space-separated."""
        now = int(time.time())
        claims = {
            "iss": requested.issuer or self.url,
            "aud": requested.audience or self.audience,
            "sub": requested.customer_id,
            "iat": min(now, now + requested.expires_in),
            "exp": now + requested.expires_in,
            "jti": new_id(),
            "scope": " ".join(requested.scopes),
        } | requested.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.keys[0] if requested.key == "current" else self.foreign
        # A foreign key has the `kid` of a published key, so that only the signature is wrong.
        header = {"alg": requested.algorithm, "kid": _kid(self.keys[0]), "typ": "JWT"}
        if requested.algorithm == "none":
            return _encode_unchecked(header, claims, lambda _: b"")
        if requested.algorithm == "HS256":
            secret = key.as_pem(private=False)
            return _encode_unchecked(header, claims, lambda text: hmac.digest(secret, text, "sha256"))
        return jwt.encode(header, claims, key, algorithms=[requested.algorithm])


def _kid(key: RSAKey) -> str:
    return str(key.kid)


def _encode_unchecked(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Encode tokens that joserfc rejects: unsigned ones, and public keys used as secrets."""
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
    signed = b".".join(urlsafe_b64encode(part) for part in parts)
    return b".".join((signed, urlsafe_b64encode(sign(signed)))).decode()
