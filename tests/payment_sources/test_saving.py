"""The browser names a source, and the portal decides by Digital River's data whether to save it."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.support.buyers import PaymentBuyer, comparable, source_error
from tests.support.sandbox import Sandbox

ATTACH = "POST /customers/{id}/sources/{sourceId}"
UPDATE = "POST /customers/{id}"


async def test_the_first_saved_card_becomes_the_default_and_shows_what_its_owner_knows(
    ada: PaymentBuyer,
) -> None:
    year = datetime.now(UTC).year + 2
    source_id = await ada.enter(expirationYear=year, lastFourDigits="1111")
    answer = await ada.save(source_id)
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "id": source_id,
            "type": "creditCard",
            "label": "Visa ending in 1111",
            "brand": "Visa",
            "lastFour": "1111",
            "expiryMonth": 7,
            "expiryYear": year,
            "ownerName": "William Brown",
            "billingAddress": {
                "line1": "10381 Bren Rd W",
                "line2": None,
                "city": "Minnetonka",
                "postalCode": "55343",
                "state": "MN",
                "country": "US",
            },
            "state": "chargeable",
            "isDefault": True,
            "isExpired": False,
            "isReusable": True,
        },
    )
    assert await ada.saved() == [answer.json()]


async def test_a_buyer_unknown_to_digital_river_is_made_known_with_the_first_card(
    ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    assert (await sandbox.client.get("/customers/ada")).status_code == 404
    source_id = await ada.enter()
    assert (await ada.save(source_id)).status_code == 201
    assert (await sandbox.get("/customers/ada"))["defaultSourceId"] == source_id


async def test_a_second_card_becomes_the_default_only_when_asked_for(ada: PaymentBuyer) -> None:
    first, second, third = [await ada.enter() for _ in range(3)]
    for source_id, wish, expected in (
        (first, {}, first),
        (second, {"makeDefault": False}, first),
        (third, {"makeDefault": True}, third),
    ):
        answer = await ada.save(source_id, **wish)
        assert (answer.status_code, answer.json()["isDefault"]) == (201, expected == source_id)
        assert await ada.default() == expected
    assert [method["id"] for method in await ada.saved()] == [first, second, third]


async def test_saving_again_changes_nothing_and_shows_the_same(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    source_id = await ada.enter()
    first = await ada.save(source_id)
    again = await ada.save(source_id)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await sandbox.count(ATTACH) == 1


async def test_saving_again_can_make_it_the_default(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    first, second = await ada.enter(), await ada.enter()
    for source_id in (first, second):
        await ada.save(source_id)
    for _ in range(2):
        answer = await ada.save(second, makeDefault=True)
        assert (answer.status_code, answer.json()["isDefault"]) == (200, True)
    assert await ada.default() == second
    assert await sandbox.count(UPDATE) == 1


async def test_a_saved_card_that_has_failed_since_is_still_saved(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    source_id = await ada.enter()
    await ada.save(source_id)
    await sandbox.post(f"/_sandbox/sources/{source_id}/state", {"state": "failed"})
    again = await ada.save(source_id)
    assert (again.status_code, again.json()["state"]) == (200, "failed")


@pytest.mark.proof
async def test_ten_simultaneous_requests_save_one_card_once(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    source_id = await ada.enter()
    # Long enough for the others to find it not saved yet, if they were let in.
    await sandbox.fault("delay", seconds=0.5, method="POST", path="/customers/{id}/sources/{sourceId}")
    answers = await asyncio.gather(*(ada.save(source_id, makeDefault=True) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert await sandbox.count(ATTACH) == 1


async def test_the_same_idempotency_key_replays_the_first_answer(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    headers = {**ada.token, "Idempotency-Key": str(uuid4())}
    body = {"sourceId": await ada.enter()}
    first, again = [await ada.send("POST", "", body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert await sandbox.count(ATTACH) == 1


async def test_another_buyers_source_is_answered_like_none(
    ada: PaymentBuyer, bob: PaymentBuyer, sandbox: Sandbox
) -> None:
    unknown = comparable(await ada.save(str(uuid4())))
    assert unknown[0] == 422
    saved_by_bob = await bob.enter()
    await bob.save(saved_by_bob)
    owner = {"firstName": "Bob", "lastName": "Builder", "customerId": "bob", "address": {"country": "US"}}
    made_for_bob = await bob.enter(owner=owner)
    for source_id in (saved_by_bob, made_for_bob):
        assert comparable(await ada.save(source_id, makeDefault=True)) == unknown
    assert (await sandbox.client.get("/customers/ada")).status_code == 404
    assert await bob.default() == saved_by_bob
    assert (await bob.save(made_for_bob)).status_code == 201


@pytest.mark.parametrize(
    "state", ["requires_action", "pending_redirect", "pending_funds", "consumed", "failed", "cancelled"]
)
async def test_a_source_that_is_not_chargeable_is_refused(
    state: str, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    detail = source_error(await ada.save(await ada.enter(state=state)))
    assert "cannot be used" in detail
    assert await sandbox.count(ATTACH) == 0
    assert (await sandbox.client.get("/customers/ada")).status_code == 404


async def test_a_source_that_cannot_be_stored_is_refused_in_words_for_a_buyer(ada: PaymentBuyer) -> None:
    answer = await ada.save(await ada.enter(type="payco", state="chargeable"))
    assert source_error(answer) == "This payment method cannot be saved for later purchases."
    assert "nonreusable" not in answer.text
    assert await ada.saved() == []


async def test_a_removed_card_cannot_come_back(ada: PaymentBuyer) -> None:
    source_id = await ada.enter()
    await ada.save(source_id)
    await ada.remove(source_id)
    source_error(await ada.save(source_id))
    assert await ada.saved() == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/sourceId"),
        ({"source_id": "7"}, "/sourceId"),
        ({"sourceId": None}, "/sourceId"),
        ({"sourceId": 7}, "/sourceId"),
        ({"sourceId": ""}, "/sourceId"),
        ({"sourceId": "../customers"}, "/sourceId"),
        ({"sourceId": "7" * 101}, "/sourceId"),
        ({"sourceId": "7", "makeDefault": "yes"}, "/makeDefault"),
        ({"sourceId": "7", "makeDefault": 1}, "/makeDefault"),
        ({"sourceId": "7", "makeDefault": None}, "/makeDefault"),
        ({"sourceId": "7", "clientSecret": "7_1"}, "/clientSecret"),
        ([], ""),
    ],
)
async def test_a_body_that_cannot_be_accepted_is_pointed_at(
    body: Any, pointer: str, ada: PaymentBuyer
) -> None:
    answer = await ada.send("POST", "", body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(("verb", "path"), [("POST", ""), ("PUT", "/default"), ("DELETE", "/{id}")])
async def test_a_write_for_another_customer_is_refused(
    verb: str, path: str, ada: PaymentBuyer, bob: PaymentBuyer, sandbox: Sandbox
) -> None:
    source_id = await bob.enter()
    await bob.save(source_id)
    body = None if verb == "DELETE" else {"sourceId": source_id}
    support = await sandbox.token("sue", scopes=["portal:support"])
    for headers in (ada.token, support):
        answer = await ada.send(verb, path.format(id=source_id), body, customer="bob", headers=headers)
        assert answer.status_code == 404
    assert await bob.default() == source_id


@pytest.mark.parametrize(("verb", "path"), [("GET", ""), ("POST", ""), ("PUT", "/default"), ("DELETE", "/7")])
async def test_no_source_is_saved_without_a_valid_token(
    verb: str, path: str, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    body = {"sourceId": "7"} if verb in {"POST", "PUT"} else None
    for headers in ({}, await sandbox.token("ada", expiresIn=-3600)):
        assert (await ada.send(verb, path, body, headers=headers)).status_code == 401
