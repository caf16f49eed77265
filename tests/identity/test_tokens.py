"""Only a valid, fresh token of our issuer with our audience is accepted, and only for its own customer."""

import base64
import hmac
import json
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from app.identity import tokens
from tests.identity.issuer import AUDIENCE, Issuer, published
from tests.identity.small_app import assert_refused, client_of_small_app, get_with_token


async def test_a_valid_token_identifies_the_caller(http: httpx.AsyncClient, issuer: Issuer) -> None:
    for key in (issuer.rsa, issuer.ec):
        response = await get_with_token(http, issuer.token(key))
        assert response.json() == {"customer": "customer-1", "scopes": ["openid", "portal:ops"]}


async def test_an_audience_among_several_is_enough(http: httpx.AsyncClient, issuer: Issuer) -> None:
    assert (await get_with_token(http, issuer.token(aud=["other", AUDIENCE]))).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Basic YTpi")],
        [("authorization", "Bearer")],
        [("authorization", "")],
        [("authorization", "Bearer a.b.c"), ("authorization", "Bearer a.b.c")],
    ],
)
async def test_without_a_bearer_token_the_challenge_names_no_error(
    http: httpx.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    response = await http.get("/v1/who", headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


NOW = 1_800_000_000


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": 10**11},
        {"exp": 10**400},
        {"exp": str(NOW + 60)},
        {"exp": [NOW + 60]},
        {"nbf": float("nan")},
        {"nbf": False},
        {"iat": True},
        {"iat": "0"},
        {"iat": 10**400},
        {"iat": -1},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
        {"iat": "yesterday"},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": {"portal": 1}},
        {"iss": "https://issuer.test/tenant/"},
        {"iss": "https://evil.test"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a\0b"},
        {"sub": "cut \ud83d"},
        {"sub": "a\nb"},
        {"sub": "a\u202eb"},
        {"sub": " a"},
        {"sub": "a "},
        {"sub": " "},
    ],
    ids=ascii,
)
async def test_a_token_with_wrong_claims_is_refused(
    http: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    await assert_refused(http, issuer.token(**claims))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "1e11", "1e-400"])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
async def test_a_time_that_is_not_a_finite_number_is_refused(
    http: httpx.AsyncClient, issuer: Issuer, claim: str, number: str
) -> None:
    payload = json.dumps(issuer.claims(**{claim: 123456})).replace("123456", number)
    text = f"{coded({'alg': 'RS256', 'kid': 'rsa-1'})}.{coded(payload.encode())}"
    token = f"{text}.{coded(JWSRegistry.algorithms['RS256'].sign(text.encode(), issuer.rsa))}"
    if (claim, number) in {("nbf", "1e-400"), ("iat", "1e-400")}:
        # To a float, as to every clock, this is 1970.
        assert (await get_with_token(http, token)).status_code == 200
    else:
        await assert_refused(http, token)


async def test_a_time_may_have_a_fraction(http: httpx.AsyncClient, issuer: Issuer) -> None:
    issuer.clock.seconds = NOW + 0.25
    assert (await get_with_token(http, issuer.token(exp=NOW + 0.5, nbf=NOW + 29.75))).status_code == 200
    issuer.clock.seconds = NOW + 0.5
    await assert_refused(http, issuer.token(exp=NOW + 0.5))


@pytest.mark.parametrize("claims", [{"sub": "x" * 255}, {"iat": 0, "nbf": 0}, {"exp": 10**11 - 1}], ids=str)
async def test_a_token_at_the_edge_of_what_claims_may_say_is_good(
    http: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert (await get_with_token(http, issuer.token(**claims))).status_code == 200


async def test_a_customer_id_may_have_forty_characters(http: httpx.AsyncClient, issuer: Issuer) -> None:
    assert (await get_with_token(http, issuer.token(sub="x" * 40))).json()["customer"] == "x" * 40


async def test_clocks_may_differ_by_half_a_minute(http: httpx.AsyncClient, issuer: Issuer) -> None:
    assert (await get_with_token(http, issuer.token(nbf=NOW + 30, iat=NOW + 30))).status_code == 200


async def test_a_token_of_another_key_under_our_key_id_is_refused(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await assert_refused(http, issuer.token(RSAKey.generate_key(2048, {"kid": "rsa-1"})))
    await assert_refused(http, issuer.token(ECKey.generate_key("P-256", {"kid": "ec-1"})))


async def test_a_changed_payload_is_refused(http: httpx.AsyncClient, issuer: Issuer) -> None:
    head, _, signature = issuer.token().split(".")
    forged = issuer.token(RSAKey.generate_key(2048, {"kid": "rsa-1"}), sub="customer-2").split(".")[1]
    await assert_refused(http, f"{head}.{forged}.{signature}")


async def test_an_unsigned_token_is_refused(http: httpx.AsyncClient, issuer: Issuer) -> None:
    for algorithm in ("none", "None", "NONE"):
        header = coded({"alg": algorithm, "kid": "rsa-1"})
        await assert_refused(http, f"{header}.{coded(issuer.claims())}.")


async def test_the_public_key_is_no_shared_secret(http: httpx.AsyncClient, issuer: Issuer) -> None:
    for secret in (issuer.rsa.as_pem(private=False), json.dumps(published(issuer.rsa)).encode()):
        # By hand, because joserfc refuses to sign so foolishly.
        signed = f"{coded({'alg': 'HS256', 'kid': 'rsa-1'})}.{coded(issuer.claims())}"
        await assert_refused(http, f"{signed}.{coded(hmac.digest(secret, signed.encode(), 'sha256'))}")


@pytest.mark.parametrize(
    ("algorithm", "key_id"), [("ES256", "rsa-1"), ("ES384", "ec-1"), ("EdDSA", "ec-1"), ("RS256", "ec-1")]
)
async def test_the_key_of_one_algorithm_does_not_serve_another(
    http: httpx.AsyncClient, issuer: Issuer, algorithm: str, key_id: str
) -> None:
    header = coded({"alg": algorithm, "kid": key_id})
    _, payload, signature = issuer.token().split(".")
    await assert_refused(http, f"{header}.{payload}.{signature}")


@pytest.mark.parametrize(
    "header", [{"kid": None}, {"kid": 7}, {"typ": 7}, {"crit": ["exp"]}, {"crit": ["b64"], "b64": False}]
)
async def test_a_header_that_names_no_key_or_makes_no_sense_is_refused(
    http: httpx.AsyncClient, issuer: Issuer, header: dict[str, Any]
) -> None:
    second = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    issuer.published.append(published(second))
    await assert_refused(http, issuer.token(header=header))


def coded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "garbage",
        "a.b.c",
        "..",
        ".",
        "a.b.c.d.e",
        f"{coded([])}.{coded({})}.x",
        f"{coded(b'[' * 4000)}.{coded({})}.x",
        f"{coded({'alg': ['RS256'], 'kid': 'rsa-1'})}.{coded({})}.x",
        f"{coded({'alg': 'RS256', 'kid': 'rsa-1'})}.{coded(b'[' * 2000)}.x",
        f"{coded({'alg': 'RS256', 'kid': 'rsa-1'})}.é.x",
        "x" * 100_000,
    ],
    ids=lambda token: token[:12],
)
async def test_garbage_is_refused_and_never_an_error_of_ours(http: httpx.AsyncClient, token: str) -> None:
    response = await http.get("/v1/who", headers={b"authorization": b"Bearer " + token.encode()})
    assert response.status_code == 401


async def test_an_oversized_token_is_refused_even_when_genuine(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await assert_refused(http, issuer.token(padding="x" * 8192))


async def test_a_cached_token_ends_with_its_last_second(http: httpx.AsyncClient, issuer: Issuer) -> None:
    token = issuer.token(exp=NOW + 60)
    assert (await get_with_token(http, token)).status_code == 200
    issuer.clock.seconds = NOW + 59.99
    assert (await get_with_token(http, token)).status_code == 200
    issuer.clock.seconds = NOW + 60
    await assert_refused(http, token)


async def test_a_withdrawn_key_ends_cached_tokens_too(http: httpx.AsyncClient, issuer: Issuer) -> None:
    token = issuer.token(exp=NOW + 7200)
    assert (await get_with_token(http, token)).status_code == 200
    issuer.published = [published(issuer.ec)]
    issuer.clock.seconds += 601
    await assert_refused(http, token)


async def withdraw(http: httpx.AsyncClient, issuer: Issuer) -> None:
    """The issuer no longer publishes its RSA key, and the portal has heard of it."""
    issuer.published = [published(issuer.ec)]
    await assert_refused(http, issuer.token(header={"kid": "invented"}))


async def test_a_token_seen_before_outlives_its_key_by_five_minutes(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    token = issuer.token()
    assert (await get_with_token(http, token)).status_code == 200
    await withdraw(http, issuer)
    await assert_refused(http, issuer.token(sub="customer-2"))
    issuer.clock.seconds += 299.9
    assert (await get_with_token(http, token)).json()["customer"] == "customer-1"
    issuer.clock.seconds += 0.1
    await assert_refused(http, token)


async def test_the_oldest_cached_token_is_dropped_if_there_are_too_many(
    http: httpx.AsyncClient, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "CACHE_SIZE", 2)
    seen = [issuer.token(sub=f"customer-{number}") for number in range(3)]
    for token in seen:
        assert (await get_with_token(http, token)).status_code == 200
    await withdraw(http, issuer)
    assert [(await get_with_token(http, token)).status_code for token in seen] == [401, 200, 200]


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "a  b"}, ["a", "b"]),
        ({"scope": None, "scp": ["a", 7]}, ["a"]),
        ({"scope": None, "scp": "a b"}, ["a", "b"]),
        ({"scope": None}, []),
        ({"scope": 7}, []),
    ],
)
async def test_scopes_are_read_as_issuers_write_them(
    http: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any], scopes: list[str]
) -> None:
    assert (await get_with_token(http, issuer.token(**claims))).json()["scopes"] == scopes


async def test_a_missing_scope_is_forbidden_and_named(http: httpx.AsyncClient, issuer: Issuer) -> None:
    assert (await get_with_token(http, issuer.token(), "/ops/status")).status_code == 200
    response = await get_with_token(http, issuer.token(scope="portal:opsx"), "/ops/status")
    assert response.status_code == 403
    assert 'error="insufficient_scope", scope="portal:ops"' in response.headers["www-authenticate"]
    assert response.json()["detail"]
    assert (await http.get("/ops/status")).status_code == 401


@pytest.mark.parametrize("subject", ["x" * 41, "a b", "../x", "Zoë", "a/b"])
async def test_a_subject_that_is_no_customer_id_is_a_caller_without_one(
    http: httpx.AsyncClient, issuer: Issuer, subject: str
) -> None:
    token = issuer.token(sub=subject)
    assert (await get_with_token(http, token)).json()["customer"] is None
    assert (await get_with_token(http, token, "/v1/customer")).status_code == 403
    assert (await get_with_token(http, token, "/v1/customers/me")).status_code == 403


async def test_the_customer_id_may_be_in_a_claim_of_its_own(issuer: Issuer) -> None:
    async with client_of_small_app(issuer, oidc_customer_claim="customer_id") as http:
        named = await get_with_token(http, issuer.token(customer_id="c-9"), "/v1/customer")
        assert (named.status_code, named.json()) == (200, "c-9")
        assert (await get_with_token(http, issuer.token(), "/v1/customer")).status_code == 403


async def test_another_customer_id_does_not_exist(http: httpx.AsyncClient, issuer: Issuer) -> None:
    token = issuer.token()
    for own in ("me", "customer-1"):
        assert (await get_with_token(http, token, f"/v1/customers/{own}")).json() == "customer-1"
    assert (await get_with_token(http, token, "/v1/customers/customer-2")).status_code == 404
    nobody = issuer.token(sub="x" * 41)
    assert (await get_with_token(http, nobody, "/v1/customers/None")).status_code == 404


async def test_the_document_declares_the_scheme_and_the_challenge(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    scheme = document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    who = document["paths"]["/v1/who"]["get"]
    assert who["security"] == [{"bearer": []}]
    assert "WWW-Authenticate" in who["responses"]["401"]["headers"]
    assert document["paths"]["/ops/status"]["get"]["security"] == [{"bearer": ["portal:ops"]}]
