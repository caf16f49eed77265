"""The owner of an order is checked first: for others it does not exist, and no call is made about it."""

import asyncpg
import pytest

from tests.support.buyers import OrderBuyer, comparable
from tests.support.sandbox import Sandbox

ABOUT_ONE = ("", "/tracking", "/refunds", "/documents")


@pytest.mark.parametrize("about", ABOUT_ONE)
async def test_orders_of_others_and_of_guests_do_not_exist_for_a_buyer(
    about: str, mallory: OrderBuyer, sandbox: Sandbox
) -> None:
    adas, guests = await sandbox.order("ada"), await sandbox.order(None)
    await sandbox.client.delete("/_sandbox/requests")
    answers = [
        await mallory.get(f"/v1/orders/{order_id}{about}")
        for order_id in (adas["id"], guests["id"], "999999999999", "no-such-order", "..%2Forders")
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert all(comparable(answer) == comparable(answers[0]) for answer in answers)
    assert (await sandbox.get("/_sandbox/requests"))["counts"].keys() == {"GET /orders/{id}"}


async def test_the_list_shows_the_callers_orders_only(
    ada: OrderBuyer, mallory: OrderBuyer, sandbox: Sandbox
) -> None:
    order = await ada.order()
    await sandbox.order(None)
    assert [found["id"] for found in await ada.listed()] == [order["id"]]
    assert await mallory.listed() == []


@pytest.mark.parametrize("about", ["", *(f"/1{about}" for about in ABOUT_ONE)])
async def test_no_order_is_shown_without_a_valid_token(about: str, ada: OrderBuyer, sandbox: Sandbox) -> None:
    path = f"/v1/orders{about}"
    expired = await sandbox.token("ada", expiresIn=-60)
    for token in ({}, expired):
        answer = await ada.portal.get(path, token)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:portal:problem:unauthenticated")


@pytest.mark.parametrize("about", ABOUT_ONE)
async def test_support_reads_any_order_and_leaves_a_record(
    about: str, support: OrderBuyer, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    for order in (await sandbox.order("ada"), await sandbox.order(None)):
        answer = await support.get(f"/v1/orders/{order['id']}{about}")
        assert answer.status_code == 200, answer.text
        found = await database.fetchval(
            "SELECT count(*) FROM audit_record WHERE subject = 'agent-7' AND request_id = $1",
            answer.headers["X-Request-ID"],
        )
        assert found == 1
    missing = await support.get(f"/v1/orders/999999999999{about}")
    assert missing.status_code == 404


async def test_support_must_name_the_customer_of_a_list(support: OrderBuyer, ada: OrderBuyer) -> None:
    order = await ada.order()
    assert [found["id"] for found in await support.listed(customerId="ada")] == [order["id"]]
    assert (await support.get("/v1/orders")).status_code == 422
    assert (await ada.get("/v1/orders", customerId="ada")).status_code == 422


async def test_the_token_for_bank_details_is_for_the_buyer_alone(
    ada: OrderBuyer, support: OrderBuyer
) -> None:
    order = await ada.completed()
    refund = await ada.refunded(order, "pending_information")
    asked = refund["tokenInformation"]
    path = f"/v1/orders/{order['id']}"
    for answer, part in (
        (await ada.page(order), "refunds"),
        ((await ada.get(f"{path}/refunds")).json(), "data"),
    ):
        (shown,) = answer[part]
        assert shown["state"] == "pendingInformation"
        assert shown["action"]["kind"] == "provideBankDetails"
        assert shown["action"]["token"] == asked["token"]
        assert shown["action"]["expiresAt"][:19] == asked["expiresTime"][:19]
    for about in ("", "/refunds"):
        seen = await support.get(f"{path}{about}")
        assert asked["token"] not in seen.text
        assert "provideBankDetails" in seen.text
