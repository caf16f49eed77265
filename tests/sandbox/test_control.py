"""The control API: order states, tokens, the clock, webhooks, and the process itself."""

import asyncio
import json
import os
import sys
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.support.api_client import ApiClient, Json
from tests.support.clock import eventually


async def verified(raw: httpx.AsyncClient, **wish: object) -> Json:
    """The claims of a token that the published keys verify. Raises JoseError otherwise."""
    answer = (await raw.post("/_sandbox/tokens", json={"customerId": "ada", **wish})).json()
    keys = KeySet.import_key_set((await raw.get("/_sandbox/oidc/jwks")).json())
    claims: dict[str, Any] = jwt.decode(answer["accessToken"], keys, algorithms=["RS256"]).claims
    return claims


async def test_a_token_is_verified_by_the_published_keys(raw: httpx.AsyncClient) -> None:
    claims = await verified(raw, scopes=["portal:ops", "portal:support"], claims={"role": "x", "jti": None})
    configuration = (await raw.get("/_sandbox/oidc/.well-known/openid-configuration")).json()
    assert claims["iss"] == configuration["issuer"] == f"{raw.base_url}/_sandbox/oidc".replace("//_", "/_")
    assert configuration["jwks_uri"].endswith("/_sandbox/oidc/jwks")
    assert (claims["sub"], claims["aud"], claims["scope"], claims["role"]) == (
        "ada",
        "portal",
        "portal:ops portal:support",
        "x",
    )
    assert claims["exp"] - claims["iat"] == 3600
    assert "jti" not in claims


async def test_a_token_may_be_expired_from_the_start(raw: httpx.AsyncClient) -> None:
    claims = await verified(raw, expiresIn=-60)
    assert claims["exp"] <= claims["iat"]


@pytest.mark.parametrize("wish", [{"key": "foreign"}, {"algorithm": "none"}, {"algorithm": "HS256"}])
async def test_tokens_that_must_not_be_trusted_can_be_minted(raw: httpx.AsyncClient, wish: Json) -> None:
    with pytest.raises(JoseError):
        await verified(raw, **wish)


async def test_rotation_publishes_a_new_key_beside_or_instead_of_the_old(raw: httpx.AsyncClient) -> None:
    async def published() -> list[str]:
        keys = (await raw.get("/_sandbox/oidc/jwks")).json()["keys"]
        return [key["kid"] for key in keys]

    former = await published()
    kid = (await raw.post("/_sandbox/oidc/rotate")).json()["kid"]
    assert await published() == [kid, *former]
    assert (await verified(raw))["sub"] == "ada"
    last = (await raw.post("/_sandbox/oidc/rotate", json={"keepOld": False})).json()["kid"]
    assert await published() == [last]


async def test_an_order_walks_through_review_dispute_and_return(api: ApiClient) -> None:
    order = await api.order(state="in_review")
    control_path = f"/_sandbox/orders/{order['id']}/state"
    for state in ("accepted", "dispute", "accepted", "fulfilled", "complete", "returned"):
        assert (await api.post(control_path, {"state": state}))["state"] == state
    assert await api.event_types() == [
        "order.review_opened",
        "order.accepted",
        "order.review_closed",
        "order.dispute",
        "order.dispute.resolved",
        "order.fulfilled",
        "order.complete",
        "order.refunded",
    ]
    assert (await api.refused(control_path, {"state": "accepted"}))[:2] == (409, "invalid_state")


async def test_a_blocked_order_is_a_fraud_and_ends_there(api: ApiClient) -> None:
    order = await api.order(state="pending_payment")
    control_path = f"/_sandbox/orders/{order['id']}/state"
    blocked = await api.post(control_path, {"state": "blocked"})
    assert (blocked["fraudState"], blocked["items"][0]["state"]) == ("blocked", "blocked")
    assert (await api.refused(control_path, {"state": "accepted"}))[0] == 409


async def test_a_dispute_ends_in_the_state_it_interrupted_or_as_the_printed_one(api: ApiClient) -> None:
    order = await api.complete()
    control_path = f"/_sandbox/orders/{order['id']}/state"
    await api.post(control_path, {"state": "dispute"})
    assert (await api.refused(control_path, {"state": "fulfilled"}))[0] == 409
    assert (await api.post(control_path, {"state": "complete"}))["state"] == "complete"
    await api.post(control_path, {"state": "dispute"})
    resolved = await api.post(control_path, {"state": "accepted"})
    assert (resolved["state"], resolved["items"][0]["state"]) == ("accepted", "fulfilled")
    assert {"fulfilled", "complete", "dispute"} < set(resolved["stateTransitions"])
    assert (await api.event_types())[-1] == "order.dispute.resolved"


async def test_a_real_order_says_how_it_is_shipped_what_it_weighs_and_what_renews_itself(
    api: ApiClient,
) -> None:
    lamp = {"name": "Desk lamp", "price": 20, "weight": 1.5, "weightUnit": "kg"}
    plan = {"subscriptionId": "s-1", "planId": "p-1", "startTime": "2026-01-01T00:00:00Z"}
    support = {"name": "Support", "price": 5, "physical": False, "subscription": plan}
    order = await api.order(items=[lamp, support], shipping=5, shippingTax=0.4, shippingTerms="DDP")
    assert order["shippingChoice"] == {
        "amount": 5.0,
        "description": "standard",
        "serviceLevel": "SG",
        "taxAmount": 0.4,
        "shippingTerms": "DDP",
    }
    first, second = order["items"]
    assert (first["productDetails"]["weight"], first["productDetails"]["weightUnit"]) == (1.5, "kg")
    assert "weight" not in second["productDetails"]
    info = second["subscriptionInfo"]
    assert info | plan == info
    assert (info["autoRenewal"], info["freeTrial"]) == (True, False)
    (found,) = (await api.get("/orders", {"subscriptionId": "s-1"}))["data"]
    assert found["id"] == order["id"]
    download = await api.order(items=[{"name": "Song", "price": 1, "physical": False}])
    assert "shippingChoice" not in download


async def test_an_impossible_order_is_not_placed(api: ApiClient) -> None:
    assert (await api.refused("/_sandbox/orders", {"state": "returned"}))[0] == 400
    unknown = await api.refused("/_sandbox/orders", {"sellingEntity": "X"})
    assert unknown[:2] == (400, "selling_entity_not_found")
    assert (await api.client.post("/_sandbox/orders", json={"colour": "red"})).status_code == 422


async def test_a_webhook_is_created_listed_changed_and_deleted(api: ApiClient) -> None:
    made = await api.webhook("https://example.com/hook", ["order.accepted"])
    assert (made["enabled"], made["transportType"], made["apiVersion"]) == (True, "HTTP", "default")
    await api.webhook("https://example.com/other", ["refund.pending"])
    assert len(await api.get("/webhooks")) == 2
    assert [hook["id"] for hook in await api.get("/webhooks?types=order.accepted")] == [made["id"]]
    path = f"/webhooks/{made['id']}"
    changed = (await api.client.patch(path, json={"enabled": False})).json()
    assert (changed["enabled"], changed["address"]) == (False, made["address"])
    assert await api.refused(path, {"address": "nowhere"}, "PATCH") == (
        400,
        "invalid_parameter",
        "address",
    )
    assert await api.refused("/webhooks", {"address": "https://a.example"}) == (
        400,
        "missing_parameter",
        "types",
    )
    assert (await api.client.delete(path)).status_code == 204
    assert (await api.client.get(path)).status_code == 404


async def test_a_body_that_is_no_object_is_refused(api: ApiClient) -> None:
    for body in (b"[]", b"{", b"\xff"):
        response = await api.client.post("/customers", content=body)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "invalid_request")


@pytest.mark.proof
async def test_a_sandbox_with_a_parent_ends_with_it() -> None:
    script = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'sandbox', '--port', '0'], stdout=subprocess.PIPE)\n"
        "line = child.stdout.readline()\n"
        "print(child.pid, line.decode(), flush=True)\n"
        "os._exit(9)\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", script),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SANDBOX_TETHER": "1"},
    )
    assert parent.stdout is not None
    pid, _, line = (await parent.stdout.readline()).decode().partition(" ")
    await parent.wait()
    url = json.loads(line)["url"]

    async def is_gone() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                await client.get(f"{url}/_sandbox/clock")
        except httpx.TransportError:
            return True
        return False

    await eventually(is_gone)
    assert int(pid) > 0
