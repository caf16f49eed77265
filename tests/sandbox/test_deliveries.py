"""Callbacks: what is signed how, what counts as delivered, what is tried again."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from sandbox.delivery.signatures import signature_header
from tests.sandbox.receiver import Letter, Receiver
from tests.support.clock import eventually
from tests.support.merchant import Merchant

TOKEN = "whs_test_token_0001"


def expected_signature(letter: Letter, secret: str) -> str:
    signed = f"{letter.signature[0]}.".encode() + letter.body
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


async def test_a_delivery_is_the_signed_event_as_listed(far: Merchant, receiver: Receiver) -> None:
    webhook = await far.webhook(receiver.url)
    event = await far.event()
    await far.deliveries(1)
    (letter,) = receiver.letters
    assert json.loads(letter.body) == event == await far.get(f"/events/{event['id']}")
    assert letter.headers["Content-Type"] == "application/json"
    assert abs(int(letter.signature[0]) / 1000 - time.time()) < 5
    assert letter.signature[1:] == [expected_signature(letter, (await far.secrets(webhook))[0])]


async def test_the_api_never_answers_a_signing_secret(far: Merchant) -> None:
    webhook = await far.webhook("https://example.com/hook")
    (secret,) = await far.secrets(webhook)
    for answer in (webhook, await far.get("/webhooks"), await far.get(f"/webhooks/{webhook['id']}")):
        assert secret not in json.dumps(answer)


async def test_a_rotated_secret_signs_beside_the_old_one(far: Merchant, receiver: Receiver) -> None:
    webhook = await far.webhook(receiver.url)
    (old,) = await far.secrets(webhook)
    rotated = await far.post(f"/_sandbox/webhooks/{webhook['id']}/secrets/rotate", {"keepOld": True})
    await far.event()
    await far.deliveries(1)
    (letter,) = receiver.letters
    assert rotated["secrets"][1:] == [old]
    assert letter.signature[1:] == [expected_signature(letter, secret) for secret in rotated["secrets"]]


async def test_a_secret_rotated_without_grace_signs_alone(far: Merchant, receiver: Receiver) -> None:
    webhook = await far.webhook(receiver.url)
    (old,) = await far.secrets(webhook)
    await far.post(f"/_sandbox/webhooks/{webhook['id']}/secrets/rotate", {"keepOld": False})
    (new,) = await far.secrets(webhook)
    assert new != old


@pytest.mark.parametrize(("unit", "length"), [("seconds", 10), ("milliseconds", 13), ("iso", 24)])
async def test_the_timestamps_unit_can_be_switched(
    far: Merchant, receiver: Receiver, unit: str, length: int
) -> None:
    await far.webhook(receiver.url)
    await far.client.put("/_sandbox/signature", json={"timestamp": unit})
    await far.event()
    await far.deliveries(1)
    assert len(receiver.letters[0].signature[0]) == length


async def test_a_failed_delivery_is_tried_again_with_a_fresh_signature(
    far: Merchant, receiver: Receiver
) -> None:
    receiver.answers = [500, 302]
    webhook = await far.webhook(receiver.url)
    await far.event()
    attempts = await far.deliveries(3)
    assert [(one["attempt"], one["status"]) for one in attempts] == [(1, 500), (2, 302), (3, 202)]
    first, second, third = receiver.letters
    assert first.body == second.body == third.body
    assert len({letter.signature[0] for letter in receiver.letters}) == 3
    (secret,) = await far.secrets(webhook)
    for letter in receiver.letters:
        assert letter.signature[1] == expected_signature(letter, secret)
    assert third.at - second.at > 1.5 * (second.at - first.at)


async def test_an_endpoint_that_hung_gets_its_deliveries_again(far: Merchant, receiver: Receiver) -> None:
    receiver.seconds = 0.8
    await far.webhook(receiver.url)
    for _ in range(150):
        await far.event()
    await far.deliveries(300)
    receiver.seconds = 0
    late = await far.event("order.fulfilled")

    async def is_taken() -> bool:
        attempts = await far.get("/_sandbox/deliveries")
        return any(one["eventId"] == late["id"] and one["status"] == 202 for one in attempts)

    await eventually(is_taken)


async def test_retries_end_after_three(far: Merchant, receiver: Receiver) -> None:
    receiver.answers = [503] * 10
    await far.webhook(receiver.url)
    await far.event()
    await far.deliveries(4)
    later = await far.event("order.fulfilled", id="later")
    receiver.answers.clear()

    async def is_delivered() -> bool:
        return any(json.loads(letter.body)["id"] == later["id"] for letter in receiver.letters)

    await eventually(is_delivered)
    assert len(receiver.letters) == 5


async def test_an_endpoint_that_is_too_slow_has_not_received(far: Merchant, receiver: Receiver) -> None:
    receiver.seconds = 0.8
    await far.webhook(receiver.url)
    await far.event()
    (attempt, *_) = await far.deliveries(1)
    assert (attempt["status"], attempt["error"]) == (None, "timeout")


async def test_only_enabled_webhooks_of_the_type_hear_of_it(far: Merchant, receiver: Receiver) -> None:
    await far.webhook(receiver.url + "?other", ["order.accepted"])
    disabled = await far.webhook(receiver.url + "?disabled")
    await far.client.patch(f"/webhooks/{disabled['id']}", json={"enabled": False})
    listening = await far.webhook(receiver.url)
    event = await far.event()
    attempts = await far.deliveries(1)
    assert [one["webhookId"] for one in attempts] == [listening["id"]]
    assert event["webhookIds"] == [listening["id"]]


@pytest.mark.parametrize("spelling", ["userName", "username"])
async def test_basic_authentication_is_sent_along(far: Merchant, receiver: Receiver, spelling: str) -> None:
    await far.webhook(receiver.url, authentication={spelling: "ada", "password": "pw"})
    await far.event()
    await far.deliveries(1)
    expected = base64.b64encode(b"ada:pw").decode()
    assert receiver.letters[0].headers["Authorization"] == f"Basic {expected}"


async def test_an_event_can_be_listed_without_being_delivered_and_delivered_later(
    far: Merchant, receiver: Receiver
) -> None:
    await far.webhook(receiver.url)
    event = await far.event(deliver=False)
    assert (await far.get("/events"))["data"][0]["id"] == event["id"]
    assert receiver.letters == []
    await far.post(f"/_sandbox/events/{event['id']}/deliver")
    await far.deliveries(1)
    assert json.loads(receiver.letters[0].body)["id"] == event["id"]


async def test_a_reset_stops_what_was_still_going_to_happen(far: Merchant, receiver: Receiver) -> None:
    receiver.answers = [500]
    await far.webhook(receiver.url)
    await far.event()
    await far.deliveries(1)
    await far.post("/_sandbox/reset")
    await far.webhook(receiver.url)
    last = await far.event()
    await far.deliveries(1)
    assert [json.loads(letter.body)["id"] for letter in receiver.letters[1:]] == [last["id"]]
