"""The portal fetches the issuer's keys rarely, finds new keys, and survives an outage of the issuer."""

import asyncio
from typing import Any

import httpx
import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from app.identity import keys
from tests.identity.issuer import ISSUER, Issuer, published
from tests.identity.small_app import assert_refused, client_of_small_app, get_with_token


async def test_keys_are_fetched_once_for_many_tokens_at_once(http: httpx.AsyncClient, issuer: Issuer) -> None:
    issuer.gate.clear()
    asking = [asyncio.create_task(get_with_token(http, issuer.token(sub=f"c{n}"))) for n in range(30)]
    async with asyncio.timeout(5):
        await issuer.asked.wait()
        # The others have come as far as they can while the first one waits for the issuer.
        for _ in range(100):
            await asyncio.sleep(0)
        issuer.gate.set()
        answers = await asyncio.gather(*asking)
    assert {answer.status_code for answer in answers} == {200}
    assert issuer.fetches == 1


async def test_documents_are_asked_for_as_json_and_uncompressed(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await get_with_token(http, issuer.token())
    asked = [(one.method, one.headers["accept"], one.headers["accept-encoding"]) for one in issuer.requests]
    assert asked == [("GET", "application/json", "identity")] * 2


async def test_keys_are_fetched_at_once_on_a_machine_that_has_just_booted(issuer: Issuer) -> None:
    async with client_of_small_app(issuer, clock=lambda: 0.0) as http:
        assert (await get_with_token(http, issuer.token())).status_code == 200


async def test_an_issuer_may_end_with_a_slash(issuer: Issuer) -> None:
    name = f"{ISSUER}/"
    issuer.discovery["issuer"] = name
    async with client_of_small_app(issuer, oidc_issuer=name) as http:
        assert (await get_with_token(http, issuer.token(iss=name))).status_code == 200


async def test_an_issuer_that_does_not_answer_is_given_up(
    http: httpx.AsyncClient, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "FETCH_TIMEOUT_SECONDS", 0.05)
    issuer.gate.clear()
    async with asyncio.timeout(5):
        assert (await get_with_token(http, issuer.token())).status_code == 503


async def test_a_key_that_names_no_use_is_meant_for_signatures(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    issuer.published = [issuer.rsa.as_dict(private=False)]
    assert (await get_with_token(http, issuer.token())).status_code == 200


async def test_keys_are_refreshed_after_a_while(http: httpx.AsyncClient, issuer: Issuer) -> None:
    await get_with_token(http, issuer.token())
    issuer.clock.seconds += 599
    await get_with_token(http, issuer.token(sub="c2"))
    assert issuer.fetches == 1
    issuer.clock.seconds += 1
    await get_with_token(http, issuer.token(sub="c3"))
    assert issuer.fetches == 2


async def test_a_rotated_key_is_found_at_its_first_token(http: httpx.AsyncClient, issuer: Issuer) -> None:
    await get_with_token(http, issuer.token())
    fresh = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    issuer.published.append(published(fresh))
    assert (await get_with_token(http, issuer.token(fresh))).status_code == 200
    assert (await get_with_token(http, issuer.token(sub="c2"))).status_code == 200
    assert issuer.fetches == 2


async def test_invented_key_ids_do_not_cause_many_requests_to_the_issuer(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await get_with_token(http, issuer.token())
    for number in range(20):
        await assert_refused(http, issuer.token(header={"kid": f"invented-{number}"}))
    assert issuer.fetches == 2
    issuer.clock.seconds += 10
    await assert_refused(http, issuer.token(header={"kid": "invented"}))
    assert issuer.fetches == 3


async def test_a_token_is_not_called_invalid_while_the_keys_cannot_be_fetched(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    issuer.down = True
    response = await get_with_token(http, issuer.token())
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert response.json()["detail"]
    issuer.down = False
    issuer.clock.seconds += 2
    assert (await get_with_token(http, issuer.token())).status_code == 200


async def test_known_keys_serve_through_a_later_outage_for_a_day(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await get_with_token(http, issuer.token())
    issuer.down = True
    issuer.clock.seconds += 86_399
    assert (await get_with_token(http, issuer.token())).status_code == 200
    issuer.clock.seconds += 1
    assert (await get_with_token(http, issuer.token(sub="c2"))).status_code == 503


async def test_a_new_key_during_an_outage_is_not_called_wrong(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await get_with_token(http, issuer.token())
    issuer.down = True
    fresh = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    assert (await get_with_token(http, issuer.token(fresh))).status_code == 503


async def test_a_failing_issuer_is_not_asked_by_every_request(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    issuer.raw_keys = b"not json"
    for number in range(10):
        assert (await get_with_token(http, issuer.token(sub=f"c{number}"))).status_code == 503
    assert issuer.fetches == 1


async def test_a_slow_refresh_does_not_delay_tokens_with_a_known_key(
    http: httpx.AsyncClient, issuer: Issuer
) -> None:
    await get_with_token(http, issuer.token())
    issuer.clock.seconds += 601
    issuer.gate.clear()
    issuer.asked.clear()
    waiting = asyncio.create_task(get_with_token(http, issuer.token(sub="c2")))
    async with asyncio.timeout(5):
        await issuer.asked.wait()
        assert (await get_with_token(http, issuer.token(sub="c3"))).status_code == 200
        assert not waiting.done()
        issuer.gate.set()
        assert (await waiting).status_code == 200


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://issuer.test/tenant/"},
        {"issuer": "https://evil.test"},
        {"jwks_uri": "http://keys.test/jwks"},
        {"jwks_uri": "https://keys.test/elsewhere"},
        {"jwks_uri": "https://[broken"},
        {"jwks_uri": None},
        {"jwks_uri": 7},
    ],
    ids=str,
)
async def test_a_discovery_document_that_cannot_be_trusted_gives_no_keys(
    http: httpx.AsyncClient, issuer: Issuer, discovery: dict[str, Any]
) -> None:
    issuer.discovery |= discovery
    assert (await get_with_token(http, issuer.token())).status_code == 503


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": [7, {}]}',
        b"[" * 100_000,
        b" " * 300_000,
    ],
    ids=lambda content: content[:12].decode(),
)
async def test_a_key_document_that_cannot_be_read_gives_no_keys(
    http: httpx.AsyncClient, issuer: Issuer, content: bytes
) -> None:
    issuer.raw_keys = content or b" "
    assert (await get_with_token(http, issuer.token())).status_code == 503


async def test_only_keys_that_are_meant_and_fit_for_signatures_are_used(issuer: Issuer) -> None:
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024, {"kid": "short"})
    signing = RSAKey.generate_key(2048, {"kid": "other-use"})
    unusable = {
        "other-use": published(signing) | {"use": "enc"},
        "other-operation": published(signing) | {"kid": "other-operation", "key_ops": ["encrypt"]},
        "other-algorithm": published(signing) | {"kid": "other-algorithm", "alg": "RS512"},
        "broken": published(signing) | {"kid": "broken", "n": "!"},
        "short": published(short),
    }
    # Before the good ones: what cannot be used must not hide what can.
    issuer.published[:0] = [
        *unusable.values(),
        {**OKPKey.generate_key("Ed25519", {"kid": "okp"}).as_dict(private=False)},
        {**ECKey.generate_key("P-384", {"kid": "p-384"}).as_dict(private=False)},
    ]
    async with client_of_small_app(issuer) as http:
        assert (await get_with_token(http, issuer.token())).status_code == 200
        for key_id in unusable:
            key = short if key_id == "short" else signing
            await assert_refused(http, issuer.token(key, header={"kid": key_id}))


async def test_a_local_issuer_without_https_serves_development_only(issuer: Issuer) -> None:
    issuer.discovery["jwks_uri"] = "http://keys.test/jwks"
    issuer.published = [published(issuer.rsa)]
    plain = issuer.transport.handler

    async def over_http(request: httpx.Request) -> httpx.Response:
        secure = request.url.copy_with(scheme="https")
        answer = plain(httpx.Request("GET", secure))
        assert not isinstance(answer, httpx.Response)
        return await answer

    issuer.transport = httpx.MockTransport(over_http)
    async with client_of_small_app(issuer, environment="development") as http:
        assert (await get_with_token(http, issuer.token())).status_code == 200
    async with client_of_small_app(issuer) as http:
        assert (await get_with_token(http, issuer.token())).status_code == 503
