"""What the claims of a genuine token say: whether it is an access token for us, and for whom it speaks."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from app.ids import CustomerId
from app.web.id_types import ID_PATTERN

LONGEST_SUBJECT = 255
LATEST_MOMENT = 1e11
LONGEST_CUSTOMER_ID = 40  # Digital River docs, Customers
CLOCK_LEEWAY_SECONDS = 30

_CUSTOMER_ID = re.compile(ID_PATTERN, re.ASCII)
# RFC 9068 §2.1. Most providers write the general one, or none.
_EXPLICIT = "at+jwt"
_TYPES = frozenset({_EXPLICIT, "jwt"})
# Keycloak writes the type into the payload, whatever the header says.
_OTHER_PAYLOADS = frozenset({"id", "refresh", "offline", "logout"})
# OpenID Connect Core §3.3.2.11; FAPI 1.0 part 2 for `s_hash`.
_OF_ID_TOKENS = frozenset({"at_hash", "c_hash", "s_hash"})
# Names of the client that the token was issued to: RFC 9068 and Cognito, OpenID Connect, Entra v1, Okta.
_CLIENTS = ("client_id", "azp", "appid", "cid")
# What no ID token has. A `nonce` alone proves nothing: Keycloak wrote it into access tokens until 24.
_OF_ACCESS_TOKENS = frozenset({"scope", "scp", "client_id", "cid"})

Claims = Mapping[str, Any]


class RefusalError(Exception):
    """Why a token is not accepted; for the log."""


def check_kind(header: Claims, claims: Claims, *, only_explicit: bool) -> None:
    """That it is an access token which whoever bears it may use (RFC 9068 §4, RFC 8725 §3.11 and §3.12).

    Raises:
        RefusalError: it is certainly something else; with `only_explicit`, or does not say in its header.
    """
    kind = header.get("typ")
    name = kind.lower().removeprefix("application/") if isinstance(kind, str) else None
    if name != _EXPLICIT and (only_explicit or (kind is not None and name not in _TYPES)):
        raise RefusalError("not of the type of an access token")
    if claims.get("cnf") is not None:
        raise RefusalError("bound to a key, whose possession nobody has proven")
    if claims.get("token_use", "access") != "access" or _payload_type(claims) in _OTHER_PAYLOADS:
        raise RefusalError("said by its payload to be no access token")
    if isinstance(claims.get("events"), Mapping):
        raise RefusalError("a security event, or a logout token")
    if name != _EXPLICIT and _is_id_token(claims):
        raise RefusalError("an ID token")


def check_audience(claims: Claims, audience: str, clients: Collection[str]) -> None:
    """That it was issued for us, to one of these clients if there are any. With them it may name no audience,
    if it says that it is an access token: an ID token without an audience there is none (Cognito).

    Raises:
        RefusalError: it was not.
    """
    client = next((claims[name] for name in _CLIENTS if name in claims), None)
    if clients and not (isinstance(client, str) and client in clients):
        raise RefusalError("issued to another client")
    given = claims.get("aud")
    if given is None:
        is_access_token = claims.get("token_use") == "access" or _payload_type(claims) == "bearer"
        if not clients or not is_access_token:
            raise RefusalError("meant for nobody in particular")
    elif not audience or audience not in (given if isinstance(given, list) else [given]):
        raise RefusalError("meant for somebody else")


def check_times(claims: Claims, now: float) -> float:
    """Returns the expiry, in seconds since the epoch.

    Raises:
        RefusalError: the token is not valid yet, or not any more, or has no end.
    """
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if claims.get(name) is not None}
    begins = {name: time for name, time in times.items() if name != "exp"}
    try:
        JWTClaimsRegistry(int(now), exp={"essential": True}).validate({"exp": times.get("exp")})
        JWTClaimsRegistry(int(now), CLOCK_LEEWAY_SECONDS).validate(begins)
    except JoseError as error:
        raise RefusalError(str(error)) from None
    # joserfc counts in whole seconds, and takes integers that no float can hold.
    if times["exp"] <= now or not all(0 <= time < LATEST_MOMENT for time in times.values()):
        raise RefusalError("expired within this second, or a time out of range")
    return float(times["exp"])


def read_subject(claims: Claims) -> str:
    """Who it is. It goes into audit records: what cannot be stored, or not be told from others by reading it,
    is nobody.

    Raises:
        RefusalError: there is no usable one.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise RefusalError("no usable subject")
    if not subject.isprintable() or subject != subject.strip():
        raise RefusalError("a subject that cannot be printed")
    return subject


def read_customer_id(claims: Claims, path: str) -> CustomerId | None:
    """The customer that the claim names: as text, as a whole number, or as a list of only one of them."""
    value = find_claim(claims, path)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**LONGEST_CUSTOMER_ID else None
    if isinstance(value, str) and len(value) <= LONGEST_CUSTOMER_ID and _CUSTOMER_ID.fullmatch(value):
        return CustomerId(value)
    return None


def read_scopes(claims: Claims, paths: Collection[str], prefix: str) -> frozenset[str]:
    """What these claims grant, together: text separated by spaces (RFC 9068) or lists, names with or without
    the prefix."""
    granted = (one for path in paths for one in _names(find_claim(claims, path)))
    return frozenset(one.removeprefix(prefix) for one in granted)


def find_claim(claims: Claims, path: str) -> object:
    """The claim of exactly this name, or else the member that the path's dots lead to: names may have dots
    themselves, as `https://shop.example/customer_id` does."""
    if path in claims:
        return claims[path]
    end = path.rfind(".")
    while end > 0:
        inner = claims.get(path[:end])
        if isinstance(inner, Mapping):
            return find_claim(inner, path[end + 1 :])
        end = path.rfind(".", 0, end)
    return None


def _names(granted: object) -> Iterator[str]:
    if isinstance(granted, str):
        yield from granted.split()
    elif isinstance(granted, list):
        yield from (one for one in granted if isinstance(one, str))


def _payload_type(claims: Claims) -> str | None:
    kind = claims.get("typ")
    return kind.lower() if isinstance(kind, str) else None


def _is_id_token(claims: Claims) -> bool:
    if not _OF_ID_TOKENS.isdisjoint(claims):
        return True
    says_otherwise = _payload_type(claims) == "bearer" or not _OF_ACCESS_TOKENS.isdisjoint(claims)
    return "nonce" in claims and not says_otherwise
