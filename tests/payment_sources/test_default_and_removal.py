"""After every change the default payment method is the one that Digital River reports."""

import asyncio
from uuid import uuid4

import pytest

from tests.support.buyers import PaymentBuyer, comparable
from tests.support.sandbox import Sandbox

UPDATE = "POST /customers/{id}"


async def save_two(buyer: PaymentBuyer) -> tuple[str, str]:
    """Two saved cards; the first one is the default."""
    first, second = await buyer.enter(), await buyer.enter()
    for source_id in (first, second):
        (await buyer.save(source_id)).raise_for_status()
    return first, second


async def test_a_saved_card_can_be_made_the_default(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    _, second = await save_two(ada)
    for _ in range(2):
        answer = await ada.choose(second)
        assert (answer.status_code, answer.json()["id"], answer.json()["isDefault"]) == (200, second, True)
    assert await ada.default() == second
    assert (await sandbox.get("/customers/ada"))["defaultSourceId"] == second
    assert await sandbox.count(UPDATE) == 1


async def test_only_what_the_caller_has_saved_can_be_the_default(
    ada: PaymentBuyer, bob: PaymentBuyer
) -> None:
    unknown = comparable(await ada.choose(str(uuid4())))
    assert unknown[0] == 422
    assert unknown[1]["errors"][0]["pointer"] == "/sourceId"
    first, _ = await save_two(ada)
    bobs, _ = await save_two(bob)
    for source_id in (str(uuid4()), bobs, await ada.enter()):
        assert comparable(await ada.choose(source_id)) == unknown
    assert await ada.default() == first


async def test_a_removed_card_is_gone_for_good(ada: PaymentBuyer, sandbox: Sandbox) -> None:
    first, second = await save_two(ada)
    answer = await ada.remove(second)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [method["id"] for method in await ada.saved()] == [first]
    assert (await sandbox.get(f"/sources/{second}"))["state"] == "cancelled"
    assert (await ada.remove(second)).status_code == 404


@pytest.mark.parametrize(("rule", "promotes"), [("clear", False), ("promote", True)])
async def test_the_default_after_a_removal_is_the_one_digital_river_reports(
    rule: str, promotes: bool, ada: PaymentBuyer, sandbox: Sandbox
) -> None:
    rules = {"afterDefaultDetached": rule}
    (await sandbox.client.put("/_sandbox/rules", json=rules)).raise_for_status()
    first, second = await save_two(ada)
    assert (await ada.remove(first)).status_code == 204
    assert await ada.default() == (second if promotes else None)
    third = await ada.enter()
    answer = await ada.save(third)
    assert answer.json()["isDefault"] is not promotes


async def test_removing_another_buyers_card_is_answered_like_removing_none(
    ada: PaymentBuyer, bob: PaymentBuyer
) -> None:
    bobs, _ = await save_two(bob)
    missing = comparable(await ada.remove(str(uuid4())))
    assert missing[0] == 404
    assert comparable(await ada.remove(bobs)) == missing
    await save_two(ada)
    assert comparable(await ada.remove(bobs)) == missing
    assert await bob.default() == bobs


async def test_simultaneous_choices_and_removals_leave_no_default_that_is_gone(ada: PaymentBuyer) -> None:
    first, second = await save_two(ada)
    removed, chosen = await asyncio.gather(ada.remove(second), ada.choose(second))
    assert (removed.status_code, chosen.status_code) in {(204, 200), (204, 422)}
    assert [method["id"] for method in await ada.saved()] == [first]
    assert await ada.default() in {first, None}


@pytest.mark.parametrize(
    ("body", "pointer"), [({}, "/sourceId"), ({"sourceId": "7", "makeDefault": True}, "/makeDefault")]
)
async def test_a_choice_that_cannot_be_read_is_pointed_at(
    body: dict[str, object], pointer: str, ada: PaymentBuyer
) -> None:
    answer = await ada.send("PUT", "/default", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
