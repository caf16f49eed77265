"""Valid tokens of the usual providers are accepted with the settings that docs/identity.md names for each."""

import warnings
from typing import Any

import httpx
import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.identity.issuer import ISSUER, Issuer, Key, published
from tests.identity.small_app import assert_refused, client_of_small_app, get_with_token

_KEYS: dict[str, Key] = {
    "ES384": ECKey.generate_key("P-384", {"kid": "p-384"}),
    "ES512": ECKey.generate_key("P-521", {"kid": "p-521"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed25519"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed25519-named"}),
    "Ed448": OKPKey.generate_key("Ed448", {"kid": "ed448"}),
}


def key_for(issuer: Issuer, algorithm: str) -> Key:
    """A published key that can sign so."""
    if algorithm in _KEYS:
        issuer.published.append(published(_KEYS[algorithm]))
    return _KEYS.get(algorithm, issuer.ec if algorithm == "ES256" else issuer.rsa)


ALGORITHMS = [f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)]
ALGORITHMS += ["EdDSA", "Ed25519", "Ed448"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_asymmetric_algorithm_is_accepted_with_a_key_of_its_kind(
    issuer: Issuer, algorithm: str
) -> None:
    token = issuer.token(key_for(issuer, algorithm), header={"alg": algorithm})
    async with client_of_small_app(issuer) as http:
        assert (await get_with_token(http, token)).status_code == 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_an_algorithm_that_the_key_or_settings_do_not_name_is_refused(
    issuer: Issuer, algorithm: str
) -> None:
    key = key_for(issuer, algorithm)
    token = issuer.token(key, header={"alg": algorithm})
    others = [name for name in ALGORITHMS if name != algorithm]
    async with client_of_small_app(issuer, oidc_algorithms=others) as http:
        await assert_refused(http, token)
    spare = ECKey.generate_key("P-256", {"kid": "spare"})
    issuer.published = [published(spare), {**published(key), "alg": others[0]}]
    async with client_of_small_app(issuer) as http:
        await assert_refused(http, token)


async def test_a_header_may_be_long_and_have_unregistered_members(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    # Entra ID, AWS and Ping: `nonce`, `client`, `pi.atm`.
    header = {"nonce": "n", "pi.atm": "2", "x5c": ["M" * 2000], "client": {"a": 1}, "iat": 7}
    assert (await get_with_token(http, issuer.token(header=header))).status_code == 200
    await assert_refused(http, issuer.token(header={"x5c": ["M" * 4000]}))


async def test_keys_inside_a_header_are_ignored(http: httpx.AsyncClient, issuer: Issuer) -> None:
    own = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    for header in (
        {"jwk": published(own)},
        {"jku": "https://evil.test/jwks"},
        {"x5u": "https://evil.test/c"},
    ):
        await assert_refused(http, issuer.token(own, header=header))
    assert not [one for one in issuer.requests if one.url.host == "evil.test"]


async def test_a_single_key_needs_no_name_on_either_side(issuer: Issuer) -> None:
    nameless = {name: value for name, value in published(issuer.rsa).items() if name != "kid"}
    for shown, header in (
        (nameless, {"kid": None}),
        (nameless, {}),
        (published(issuer.rsa), {"kid": None}),
    ):
        # The other one is of another kind, so there is no doubt.
        issuer.published = [shown, published(issuer.ec)]
        async with client_of_small_app(issuer) as http:
            assert (await get_with_token(http, issuer.token(header=header))).status_code == 200


async def test_a_token_must_name_its_key_if_there_are_several(issuer: Issuer) -> None:
    second = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    for shown in ({}, {"kid": None}):
        issuer.published = [published(issuer.rsa) | shown, published(second)]
        async with client_of_small_app(issuer) as http:
            await assert_refused(http, issuer.token(header={"kid": None}))


async def test_the_successor_of_a_nameless_key_is_found_at_its_first_token(issuer: Issuer) -> None:
    issuer.published = [published(issuer.rsa) | {"kid": None}]
    fresh = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    async with client_of_small_app(issuer) as http:
        assert (await get_with_token(http, issuer.token(header={"kid": None}))).status_code == 200
        issuer.published = [published(fresh) | {"kid": None}]
        assert (await get_with_token(http, issuer.token(fresh, header={"kid": None}))).status_code == 200
        assert issuer.fetches == 2
        # What is forged makes nobody ask again at once.
        forged = RSAKey.generate_key(2048, {"kid": "rsa-3"})
        for number in range(5):
            await assert_refused(http, issuer.token(forged, header={"kid": None}, sub=f"c{number}"))
        assert issuer.fetches == 2


async def test_a_forged_signature_with_a_known_key_id_causes_no_request(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await get_with_token(http, issuer.token())
    await assert_refused(http, issuer.token(RSAKey.generate_key(2048, {"kid": "rsa-1"})))
    assert issuer.fetches == 1


async def test_keys_may_have_an_address_of_their_own(issuer: Issuer) -> None:
    settings: dict[str, Any] = {"oidc_jwks_url": "https://keys.test/jwks", "oidc_issuer": "our-sign-in"}
    async with client_of_small_app(issuer, **settings) as http:
        assert (await get_with_token(http, issuer.token(iss="our-sign-in"))).status_code == 200
        await assert_refused(http, issuer.token())
    assert {str(one.url) for one in issuer.requests} == {"https://keys.test/jwks"}


V1 = "https://issuer.test/v1/"


async def test_two_names_of_one_provider_each_have_their_audience_and_keys(issuer: Issuer) -> None:
    other = {"issuer": V1, "audience": "api://portal", "jwksUrl": "https://keys.test/jwks"}
    async with client_of_small_app(issuer, oidc_additional_issuers=[other]) as http:
        assert (await get_with_token(http, issuer.token())).status_code == 200
        assert (await get_with_token(http, issuer.token(iss=V1, aud="api://portal"))).status_code == 200
        await assert_refused(http, issuer.token(iss=V1))
        await assert_refused(http, issuer.token(aud="api://portal"))
        await assert_refused(http, issuer.token(iss="https://issuer.test/v3"))


async def test_a_key_of_one_issuer_vouches_for_no_other(issuer: Issuer) -> None:
    other = {"issuer": V1, "jwksUrl": "https://keys.test/none"}
    async with client_of_small_app(issuer, oidc_additional_issuers=[other]) as http:
        assert (await get_with_token(http, issuer.token())).status_code == 200
        assert (await get_with_token(http, issuer.token(iss=V1))).status_code == 503


async def test_tokens_of_other_issuers_cause_no_request_for_keys(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await assert_refused(http, issuer.token(iss="https://evil.test"))
    assert issuer.requests == []


# Without `aud`; only the clients that are meant.
_COGNITO: dict[str, Any] = {"oidc_audience": "", "oidc_accepted_client_ids": ["web", "support-desk"]}


@pytest.mark.parametrize(
    "claims",
    [
        {"client_id": "web", "token_use": "access"},
        {"client_id": "support-desk", "token_use": "access"},
        {"azp": "web", "typ": "Bearer"},
    ],
    ids=str,
)
async def test_an_access_token_without_an_audience_is_accepted_from_our_client(
    issuer: Issuer, claims: dict[str, Any]
) -> None:
    async with client_of_small_app(issuer, **_COGNITO) as http:
        assert (await get_with_token(http, issuer.token(aud=None, **claims))).status_code == 200
    async with client_of_small_app(issuer) as http:
        await assert_refused(http, issuer.token(aud=None, **claims))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None, "client_id": "evil", "token_use": "access"},
        {"aud": None, "client_id": ["web"], "token_use": "access"},
        {"aud": None, "client_id": "evil", "azp": "web", "token_use": "access"},
        {"aud": None, "token_use": "access"},
        {"aud": None, "client_id": "web"},
        {"aud": None, "client_id": "web", "token_use": "id"},
        {"aud": "web", "client_id": "web", "token_use": "access"},
        {"aud": "", "client_id": "web", "token_use": "access"},
    ],
    ids=str,
)
async def test_what_was_not_issued_to_a_client_of_ours_as_an_access_token_is_refused(
    issuer: Issuer, claims: dict[str, Any]
) -> None:
    async with client_of_small_app(issuer, **_COGNITO) as http:
        await assert_refused(http, issuer.token(**claims))


async def test_an_audience_and_clients_together_must_both_be_right(issuer: Issuer) -> None:
    async with client_of_small_app(issuer, oidc_accepted_client_ids=["web"]) as http:
        assert (await get_with_token(http, issuer.token(azp="web"))).status_code == 200
        assert (await get_with_token(http, issuer.token(appid="web"))).status_code == 200
        assert (await get_with_token(http, issuer.token(cid="web"))).status_code == 200
        await assert_refused(http, issuer.token(azp="evil"))
        await assert_refused(http, issuer.token())


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({"oidc_scope_claims": ["roles"]}, {"roles": ["portal:ops"]}),
        ({"oidc_scope_claims": ["permissions"]}, {"permissions": ["portal:ops"]}),
        ({"oidc_scope_claims": ["scope", "permissions"]}, {"scope": "openid", "permissions": ["portal:ops"]}),
        ({"oidc_scope_claims": ["realm_access.roles"]}, {"realm_access": {"roles": ["portal:ops"]}}),
        (
            {"oidc_scope_claims": ["resource_access.portal.roles"]},
            {"resource_access": {"portal": {"roles": ["portal:ops"]}}},
        ),
        ({"oidc_scope_claims": ["cognito:groups"]}, {"cognito:groups": ["portal:ops"]}),
        (
            {"oidc_scope_claims": ["https://shop.example/roles"]},
            {"https://shop.example/roles": ["portal:ops"]},
        ),
        ({"oidc_scope_prefix": "api://1f0e/"}, {"scp": "openid api://1f0e/portal:ops"}),
        ({"oidc_scope_prefix": "https://api/"}, {"scope": "https://api/portal:ops"}),
    ],
    ids=str,
)
async def test_scopes_are_read_from_the_claim_in_the_settings(
    issuer: Issuer, settings: dict[str, Any], claims: dict[str, Any]
) -> None:
    token = issuer.token(**{"scope": None, **claims})
    async with client_of_small_app(issuer, **settings) as http:
        assert (await get_with_token(http, token, "/ops/status")).status_code == 200
    async with client_of_small_app(issuer) as http:
        assert (await get_with_token(http, token, "/ops/status")).status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "portal:ops"},
        {"roles": "portal:opsx"},
        {"roles": [["portal:ops"]]},
        {"roles": {"portal:ops": True}},
        {"roles": ["https://evil/portal:ops"]},
        {"roles": ["portal: ops"]},
    ],
    ids=str,
)
async def test_scopes_in_other_claims_or_other_spellings_do_not_count(
    issuer: Issuer, claims: dict[str, Any]
) -> None:
    async with client_of_small_app(
        issuer, oidc_scope_claims=["roles"], oidc_scope_prefix="https://api/"
    ) as http:
        answer = await get_with_token(http, issuer.token(**{"scope": None, **claims}), "/ops/status")
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("path", "claims", "customer"),
    [
        ("customer_id", {"customer_id": 4711}, "4711"),
        ("customer_id", {"customer_id": 10**39}, "1" + "0" * 39),
        ("customer_id", {"customer_id": 10**40}, None),
        ("customer_id", {"customer_id": ["c-9"]}, "c-9"),
        ("customer_id", {"customer_id": [7]}, "7"),
        ("customer_id", {"customer_id": ["c-9", "c-10"]}, None),
        ("customer_id", {"customer_id": [["c-9"]]}, None),
        ("customer_id", {"customer_id": []}, None),
        ("customer_id", {"customer_id": True}, None),
        ("customer_id", {"customer_id": 7.0}, None),
        ("customer_id", {"customer_id": {"id": "c-9"}}, None),
        ("app.customer.id", {"app": {"customer": {"id": "c-9"}}}, "c-9"),
        ("app.customer.id", {"app": {"customer.id": "c-9"}}, "c-9"),
        ("app.customer.id", {"app.customer": {"id": "c-9"}}, "c-9"),
        ("app.customer.id", {"app.customer.id": "c-9", "app": {"customer": {"id": "c-10"}}}, "c-9"),
        ("app.customer.id", {"app": {"customer": "c-9"}}, None),
        ("app.customer.id", {"app": "c-9"}, None),
        ("https://shop.example/customer_id", {"https://shop.example/customer_id": "c-9"}, "c-9"),
        ("https://shop.example/app.id", {"https://shop.example/app": {"id": "c-9"}}, "c-9"),
        ("customer_id", {"customer_id": "c-9\n"}, None),
        ("customer_id", {"customer_id": " c-9"}, None),
        ("customer_id", {"customer_id": "c\0"}, None),
        ("customer_id", {"customer_id": "c\ud83d"}, None),
        ("customer_id", {"customer_id": "x" * 41}, None),
        ("customer_id", {"customer_id": "..", "sub": "c-9"}, None),
    ],
    ids=ascii,
)
async def test_the_customer_is_found_wherever_and_however_it_stands(
    issuer: Issuer, path: str, claims: dict[str, Any], customer: str | None
) -> None:
    async with client_of_small_app(issuer, oidc_customer_claim=path) as http:
        answer = await get_with_token(http, issuer.token(**claims))
        assert (answer.status_code, answer.json()["customer"]) == (200, customer)


async def test_an_entra_id_token_of_either_version_is_accepted(issuer: Issuer) -> None:
    """Its own keys carry an `issuer` and no `alg`; v1 names the client `appid`, v2 `azp`."""
    key = published(issuer.rsa) | {"x5t": "rsa-1", "x5c": ["MIIC"], "issuer": ISSUER}
    issuer.published = [key]
    v1 = {"issuer": V1, "audience": "api://1f0e", "jwksUrl": "https://keys.test/jwks"}
    settings: dict[str, Any] = {
        "oidc_additional_issuers": [v1],
        "oidc_scope_claims": ["roles"],
        "oidc_customer_claim": "oid",
    }
    common = {
        "scope": None,
        "oid": "0b4bb1a7-0d0a-4b0e-9a53-6f1f6f0f5a11",
        "roles": ["portal:ops"],
        "tid": "t",
    }
    async with client_of_small_app(issuer, **settings) as http:
        for version in (
            {"ver": "2.0", "azp": "spa"},
            {"ver": "1.0", "appid": "spa", "iss": V1, "aud": "api://1f0e"},
        ):
            claims: dict[str, Any] = {**common, **version}
            token = issuer.token(header={"x5t": "rsa-1"}, **claims)
            assert (await get_with_token(http, token, "/ops/status")).status_code == 200


async def test_no_warning_is_given_for_what_issuers_sign_with(issuer: Issuer) -> None:
    token = issuer.token(key_for(issuer, "EdDSA"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", SecurityWarning)
        async with client_of_small_app(issuer) as http:
            assert (await get_with_token(http, token)).status_code == 200
