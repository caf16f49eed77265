"""Checks the claims of a signed token: only access tokens for us are accepted. Reads the caller from them."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from app.ids import CustomerId
from app.web.id_types import ID_PATTERN

MAX_SUBJECT_LENGTH = 255
MAX_TIMESTAMP = 1e11
MAX_CUSTOMER_ID_LENGTH = 40  # Digital River docs, Customers
CLOCK_LEEWAY_SECONDS = 30

_CUSTOMER_ID = re.compile(ID_PATTERN, re.ASCII)
# RFC 9068 §2.1. Most providers write the general type `JWT`, or no type.
_ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  # a media type
_HEADER_TYPES = frozenset({_ACCESS_TOKEN_TYPE, "jwt"})
# Keycloak writes its own type into the payload, next to the type in the header.
_OTHER_PAYLOAD_TYPES = frozenset({"id", "refresh", "offline", "logout"})
# OpenID Connect Core §3.3.2.11; FAPI 1.0 part 2 for `s_hash`.
_ID_TOKEN_CLAIMS = frozenset({"at_hash", "c_hash", "s_hash"})
# The client that the token was issued to, as named by RFC 9068 and Cognito, OpenID Connect, Entra v1, Okta.
_CLIENT_ID_CLAIMS = ("client_id", "azp", "appid", "cid")
# Claims that no ID token has. A `nonce` alone proves nothing: Keycloak up to 24 writes it into access tokens.
_ACCESS_TOKEN_CLAIMS = frozenset({"scope", "scp", "client_id", "cid"})

Claims = Mapping[str, Any]


class TokenRefused(Exception):
    """The token is not accepted. The message is for the log only."""


def check_token_type(header: Claims, claims: Claims, *, require_header_type: bool) -> None:
    """Check that this is an access token that any bearer may use (RFC 9068 §4, RFC 8725 §3.11 and §3.12).

    Raises:
        TokenRefused: it is another kind of token, or its header does not say `at+jwt` and must.
    """
    header_type = header.get("typ")
    name = header_type.lower().removeprefix("application/") if isinstance(header_type, str) else None
    if name != _ACCESS_TOKEN_TYPE and (
        require_header_type or (header_type is not None and name not in _HEADER_TYPES)
    ):
        raise TokenRefused("its type is not that of an access token")
    if claims.get("cnf") is not None:
        raise TokenRefused("it is bound to a key, and we do not check the proof of possession")
    if claims.get("token_use", "access") != "access" or _payload_type(claims) in _OTHER_PAYLOAD_TYPES:
        raise TokenRefused("its payload names another kind of token")
    if isinstance(claims.get("events"), Mapping):
        raise TokenRefused("it is a security event or a logout token")
    if name != _ACCESS_TOKEN_TYPE and _is_id_token(claims):
        raise TokenRefused("it is an ID token")


def check_audience(claims: Claims, audience: str, clients: Collection[str]) -> None:
    """Check that the token was issued for our audience, and to one of these clients if there are any.

    If there are clients, a token that says it is an access token may lack `aud`, as Cognito's do. An ID token
    always has it.

    Raises:
        TokenRefused: it is for another audience or from another client.
    """
    client = next((claims[name] for name in _CLIENT_ID_CLAIMS if name in claims), None)
    if clients and not (isinstance(client, str) and client in clients):
        raise TokenRefused("it was issued to another client")
    audiences = claims.get("aud")
    if audiences is None:
        is_access_token = claims.get("token_use") == "access" or _payload_type(claims) == "bearer"
        if not clients or not is_access_token:
            raise TokenRefused("it names no audience")
    elif not audience or audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise TokenRefused("it is for another audience")


def check_times(claims: Claims, now: float) -> float:
    """Check the validity period. Returns the expiry, in seconds since the epoch.

    Raises:
        TokenRefused: the token is not valid yet, has expired, or has no expiry.
    """
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if claims.get(name) is not None}
    begins = {name: time for name, time in times.items() if name != "exp"}
    try:
        JWTClaimsRegistry(int(now), exp={"essential": True}).validate({"exp": times.get("exp")})
        JWTClaimsRegistry(int(now), CLOCK_LEEWAY_SECONDS).validate(begins)
    except JoseError as error:
        raise TokenRefused(str(error)) from None
    # joserfc counts in whole seconds, and accepts integers that no float can hold.
    if times["exp"] <= now or not all(0 <= time < MAX_TIMESTAMP for time in times.values()):
        raise TokenRefused("it expired within this second, or a time is out of range")
    return float(times["exp"])


def read_subject(claims: Claims) -> str:
    """The subject. Audit records hold it, so it must be text that PostgreSQL can store and a reader can tell
    from other subjects.

    Raises:
        TokenRefused: it is missing, too long, not printable, or has spaces around it.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
        raise TokenRefused("its subject is missing or too long")
    if not subject.isprintable() or subject != subject.strip():
        raise TokenRefused("its subject cannot be printed")
    return subject


def read_customer_id(claims: Claims, path: str) -> CustomerId | None:
    """The customer id in this claim: text, a whole number, or a list with exactly one of them; else None."""
    value = find_claim(claims, path)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**MAX_CUSTOMER_ID_LENGTH else None
    if isinstance(value, str) and len(value) <= MAX_CUSTOMER_ID_LENGTH and _CUSTOMER_ID.fullmatch(value):
        return CustomerId(value)
    return None


def read_scopes(claims: Claims, paths: Collection[str], prefix: str) -> frozenset[str]:
    """All scopes that these claims grant, without the prefix. A claim is a list of names, or one text with
    spaces between the names (RFC 9068)."""
    names = (name for path in paths for name in _scope_names(find_claim(claims, path)))
    return frozenset(name.removeprefix(prefix) for name in names)


def find_claim(claims: Claims, path: str) -> object:
    """The claim of exactly this name, else the member at this path with dots, else None. A name may contain
    dots, as `https://shop.example/customer_id` does."""
    if path in claims:
        return claims[path]
    end = path.rfind(".")
    while end > 0:
        inner = claims.get(path[:end])
        if isinstance(inner, Mapping):
            return find_claim(inner, path[end + 1 :])
        end = path.rfind(".", 0, end)
    return None


def _scope_names(granted: object) -> Iterator[str]:
    if isinstance(granted, str):
        yield from granted.split()
    elif isinstance(granted, list):
        yield from (name for name in granted if isinstance(name, str))


def _payload_type(claims: Claims) -> str | None:
    payload_type = claims.get("typ")
    return payload_type.lower() if isinstance(payload_type, str) else None


def _is_id_token(claims: Claims) -> bool:
    if not _ID_TOKEN_CLAIMS.isdisjoint(claims):
        return True
    is_access_token = _payload_type(claims) == "bearer" or not _ACCESS_TOKEN_CLAIMS.isdisjoint(claims)
    return "nonce" in claims and not is_access_token
