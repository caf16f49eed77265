"""Webhook deliveries: what is signed, what counts as delivered, and what is repeated."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from sandbox.delivery.signatures import signature_header
from tests.sandbox.conftest import RETRY_DELAY
from tests.sandbox.receiver import ReceivedRequest, Receiver
from tests.support.api_client import ApiClient
from tests.support.clock import eventually

TOKEN = "whs_test_token_0001"


def expected_signature(request: ReceivedRequest, secret: str) -> str:
    signed = f"{request.signature[0]}.".encode() + request.body
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("timestamp", "body", "signature"),
    [
        (
            "1619575453591",
            b'{"id":"c902f8aa-16fb-44ba-ba7b-f3c84061685a","type":"order.invoice.created"}',
            "qOifnG5P9cLKoES+3AjjLjmLrjzfvZvdNgavd6n1KXI=",
        ),
        ("1619575453", b"{}", "NLcO5CxXrH3ODMBnAvqgXURsSXQUNf93f9h+ddE2yXQ="),
    ],
)
def test_the_signature_header_equals_the_known_vectors(timestamp: str, body: bytes, signature: str) -> None:
    assert signature_header(body, [TOKEN], timestamp) == f"{timestamp}, {signature}"


async def test_a_delivery_is_the_signed_event_as_listed(api: ApiClient, receiver: Receiver) -> None:
    webhook = await api.webhook(receiver.url)
    event = await api.event()
    await api.deliveries(1)
    (request,) = receiver.requests
    assert json.loads(request.body) == event == await api.get(f"/events/{event['id']}")
    assert request.headers["Content-Type"] == "application/json"
    assert abs(int(request.signature[0]) / 1000 - time.time()) < 5
    assert request.signature[1:] == [expected_signature(request, (await api.secrets(webhook))[0])]


async def test_the_api_never_answers_a_signing_secret(api: ApiClient) -> None:
    webhook = await api.webhook("https://example.com/hook")
    (secret,) = await api.secrets(webhook)
    for answer in (
        webhook,
        await api.get("/webhooks"),
        await api.get(f"/webhooks/{webhook['id']}"),
    ):
        assert secret not in json.dumps(answer)


async def test_a_rotated_secret_signs_beside_the_old_one(api: ApiClient, receiver: Receiver) -> None:
    webhook = await api.webhook(receiver.url)
    (old,) = await api.secrets(webhook)
    rotated = await api.post(f"/_sandbox/webhooks/{webhook['id']}/secrets/rotate", {"keepOld": True})
    await api.event()
    await api.deliveries(1)
    (request,) = receiver.requests
    assert rotated["secrets"][1:] == [old]
    assert request.signature[1:] == [expected_signature(request, secret) for secret in rotated["secrets"]]


async def test_a_secret_rotated_without_grace_signs_alone(api: ApiClient, receiver: Receiver) -> None:
    webhook = await api.webhook(receiver.url)
    (old,) = await api.secrets(webhook)
    await api.post(f"/_sandbox/webhooks/{webhook['id']}/secrets/rotate", {"keepOld": False})
    (new,) = await api.secrets(webhook)
    assert new != old


async def test_a_webhook_can_have_a_secret_that_its_receiver_knows(
    api: ApiClient, receiver: Receiver
) -> None:
    known = {"address": receiver.url, "types": ["order.complete"], "secret": TOKEN}
    webhook = await api.post("/_sandbox/webhooks", known)
    assert await api.get("/webhooks") == [webhook]
    assert TOKEN not in json.dumps(webhook)
    await api.event()
    await api.deliveries(1)
    (request,) = receiver.requests
    assert request.signature[1:] == [expected_signature(request, TOKEN)]


@pytest.mark.parametrize(("unit", "length"), [("seconds", 10), ("milliseconds", 13), ("iso", 24)])
async def test_the_timestamps_unit_can_be_switched(
    api: ApiClient, receiver: Receiver, unit: str, length: int
) -> None:
    await api.webhook(receiver.url)
    await api.client.put("/_sandbox/signature", json={"timestamp": unit})
    await api.event()
    await api.deliveries(1)
    assert len(receiver.requests[0].signature[0]) == length


async def test_a_failed_delivery_is_tried_again_with_a_fresh_signature(
    api: ApiClient, receiver: Receiver
) -> None:
    receiver.answers = [500, 302]
    webhook = await api.webhook(receiver.url)
    await api.event()
    attempts = await api.deliveries(3)
    assert [(one["attempt"], one["status"]) for one in attempts] == [(1, 500), (2, 302), (3, 202)]
    first, second, third = receiver.requests
    assert first.body == second.body == third.body
    assert len({request.signature[0] for request in receiver.requests}) == 3
    (secret,) = await api.secrets(webhook)
    for request in receiver.requests:
        assert request.signature[1] == expected_signature(request, secret)
    # A busy machine makes pauses longer, never shorter.
    assert second.at - first.at >= RETRY_DELAY
    assert third.at - second.at >= 2 * RETRY_DELAY


@pytest.mark.proof
async def test_an_endpoint_that_hung_gets_its_deliveries_again(api: ApiClient, receiver: Receiver) -> None:
    receiver.seconds = 0.8
    await api.webhook(receiver.url)
    for _ in range(150):
        await api.event()
    await api.deliveries(300)
    receiver.seconds = 0
    late = await api.event("order.fulfilled")

    async def is_taken() -> bool:
        attempts = await api.get("/_sandbox/deliveries")
        return any(one["eventId"] == late["id"] and one["status"] == 202 for one in attempts)

    await eventually(is_taken)


@pytest.mark.proof
async def test_retries_end_after_three(api: ApiClient, receiver: Receiver) -> None:
    receiver.answers = [503] * 10
    await api.webhook(receiver.url)
    await api.event()
    await api.deliveries(4)
    later = await api.event("order.fulfilled", id="later")
    receiver.answers.clear()

    async def is_delivered() -> bool:
        return any(json.loads(request.body)["id"] == later["id"] for request in receiver.requests)

    await eventually(is_delivered)
    assert len(receiver.requests) == 5


@pytest.mark.proof
async def test_an_endpoint_that_is_too_slow_has_not_received(api: ApiClient, receiver: Receiver) -> None:
    receiver.seconds = 0.8
    await api.webhook(receiver.url)
    await api.event()
    (attempt, *_) = await api.deliveries(1)
    assert (attempt["status"], attempt["error"]) == (None, "timeout")


async def test_only_enabled_webhooks_of_the_type_hear_of_it(api: ApiClient, receiver: Receiver) -> None:
    await api.webhook(receiver.url + "?other", ["order.accepted"])
    disabled = await api.webhook(receiver.url + "?disabled")
    await api.client.patch(f"/webhooks/{disabled['id']}", json={"enabled": False})
    listening = await api.webhook(receiver.url)
    event = await api.event()
    attempts = await api.deliveries(1)
    assert [one["webhookId"] for one in attempts] == [listening["id"]]
    assert event["webhookIds"] == [listening["id"]]


@pytest.mark.parametrize("spelling", ["userName", "username"])
async def test_basic_authentication_is_sent_along(api: ApiClient, receiver: Receiver, spelling: str) -> None:
    await api.webhook(receiver.url, authentication={spelling: "ada", "password": "pw"})
    await api.event()
    await api.deliveries(1)
    expected = base64.b64encode(b"ada:pw").decode()
    assert receiver.requests[0].headers["Authorization"] == f"Basic {expected}"


async def test_an_event_can_be_listed_without_being_delivered_and_delivered_later(
    api: ApiClient, receiver: Receiver
) -> None:
    await api.webhook(receiver.url)
    event = await api.event(deliver=False)
    assert (await api.get("/events"))["data"][0]["id"] == event["id"]
    assert receiver.requests == []
    await api.post(f"/_sandbox/events/{event['id']}/deliver")
    await api.deliveries(1)
    assert json.loads(receiver.requests[0].body)["id"] == event["id"]


async def test_a_reset_stops_what_was_still_going_to_happen(api: ApiClient, receiver: Receiver) -> None:
    receiver.answers = [500]
    await api.webhook(receiver.url)
    await api.event()
    await api.deliveries(1)
    await api.post("/_sandbox/reset")
    await api.webhook(receiver.url)
    last = await api.event()
    await api.deliveries(1)
    assert [json.loads(request.body)["id"] for request in receiver.requests[1:]] == [last["id"]]
