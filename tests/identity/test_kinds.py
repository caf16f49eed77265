"""A valid token that is no access token, or not for its bearer, is refused (RFC 8725, RFC 9068)."""

from typing import Any

import httpx
import pytest

from tests.identity.issuer import Issuer
from tests.identity.small_app import assert_refused, client_of_small_app, get_with_token

_LOGOUT: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}


@pytest.mark.parametrize("kind", ["at+jwt", "application/at+jwt", "AT+JWT", "JWT", "jwt", None])
async def test_types_of_access_tokens_are_accepted(
    http: httpx.AsyncClient, issuer: Issuer, kind: str | None
) -> None:
    assert (await get_with_token(http, issuer.token(header={"typ": kind}))).status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "JOSE",
        "at",
        "at+jwt;x=1",
        "dpop+jwt",
        "logout+jwt",
        "application/logout+jwt",
        "oauth-authz-req+jwt",
        "secevent+jwt",
        "text/at+jwt",
        "token-introspection+jwt",
    ],
)
async def test_other_types_are_refused(http: httpx.AsyncClient, issuer: Issuer, kind: str) -> None:
    await assert_refused(http, issuer.token(header={"typ": kind}))


@pytest.mark.parametrize(
    "claims",
    [
        {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
        {"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}},
        {"cnf": {}},
        {"cnf": "x"},
        {"token_use": "id"},
        {"token_use": 7},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Offline"},
        {"typ": "Logout"},
        {"events": _LOGOUT},
        {"events": {}},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["JWT", "at+jwt"])
async def test_a_token_that_declares_another_use_is_refused(
    http: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any], kind: str
) -> None:
    await assert_refused(http, issuer.token(header={"typ": kind}, **claims))


@pytest.mark.parametrize(
    "claims",
    [
        {"at_hash": "x"},
        {"c_hash": "x", "scope": "openid"},
        {"s_hash": "x"},
        {"nonce": "n", "scope": None},
        {"nonce": "n", "scope": None, "azp": "web", "roles": ["portal:ops"]},
    ],
    ids=str,
)
async def test_an_id_token_is_no_access_token(
    http: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    await assert_refused(http, issuer.token(**claims))
    # A token whose header says so is an access token, whatever its claims.
    explicit = issuer.token(header={"typ": "at+jwt"}, **claims)
    assert (await get_with_token(http, explicit)).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "n", "typ": "Bearer", "scope": None},
        {"nonce": "n", "scope": "openid"},
        {"nonce": "n", "scp": ["a"], "scope": None},
        {"nonce": "n", "client_id": "web", "scope": None},
        {"typ": "Bearer", "token_use": "access"},
        {"cnf": None, "events": ["a custom claim"]},
    ],
    ids=str,
)
async def test_an_access_token_that_resembles_an_id_token_is_accepted(
    http: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert (await get_with_token(http, issuer.token(**claims))).status_code == 200


async def test_only_the_named_type_is_accepted_if_the_provider_names_one(issuer: Issuer) -> None:
    async with client_of_small_app(issuer, oidc_require_access_token_type=True) as http:
        for kind in ("at+jwt", "application/at+jwt"):
            assert (await get_with_token(http, issuer.token(header={"typ": kind}))).status_code == 200
        for other in ("JWT", None):
            await assert_refused(http, issuer.token(header={"typ": other}))
