"""The list of orders: newest first, paged, filtered by state and by time."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from app.ids import CustomerId
from app.orders.order_list import sign_cursor
from tests.support.buyers import OrderBuyer
from tests.support.sandbox import Json, Sandbox

DAY = 86_400.0


async def ids_by_day(ada: OrderBuyer, count: int) -> list[str]:
    """Orders placed one a day; the newest comes first."""
    found = []
    for _ in range(count):
        found.append((await ada.order())["id"])
        await ada.sandbox.post("/_sandbox/clock", {"advanceSeconds": DAY})
    return found[::-1]


async def test_an_order_in_the_list_says_enough_for_a_line(ada: OrderBuyer) -> None:
    items = [
        {"name": f"Lamp {number}", "price": 10, "quantity": number, "image": "https://shop.test/lamp.jpg"}
        for number in (1, 2, 3, 4)
    ]
    order = await ada.order(items=items, currency="JPY")
    (listed,) = await ada.listed()
    lines = [
        {"name": item["name"], "imageUrl": item["image"], "quantity": item["quantity"]} for item in items[:3]
    ]
    assert listed == {
        "id": order["id"],
        "createdAt": order["createdTime"],
        "displayStatus": "accepted",
        "state": "accepted",
        "currency": "JPY",
        "totalAmount": "100",
        "refundedAmount": "0",
        "itemCount": 4,
        "items": lines,
    }


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_hold_every_order_once_newest_first(limit: int, ada: OrderBuyer) -> None:
    placed = await ids_by_day(ada, 5)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    pages = 0
    while True:
        page = (await ada.get("/v1/orders", limit=limit, **cursor)).raise_for_status().json()
        assert len(page["data"]) <= limit
        seen += [order["id"] for order in page["data"]]
        pages += 1
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert seen == placed
    assert pages == -(-5 // limit)


async def test_a_page_holds_twenty_orders_by_default(ada: OrderBuyer, sandbox: Sandbox) -> None:
    for _ in range(21):
        await ada.order()
    assert len(await ada.listed()) == 20


async def test_the_list_is_filtered_by_state_on_every_page(ada: OrderBuyer) -> None:
    reviewed = [(await ada.order(state="in_review"))["id"] for _ in range(3)]
    await ada.order()
    first = (await ada.get("/v1/orders", state="in_review", limit=2)).json()
    second = (await ada.get("/v1/orders", state="in_review", limit=2, cursor=first["nextCursor"])).json()
    assert {order["id"] for order in first["data"] + second["data"]} == set(reviewed)
    assert second["nextCursor"] is None


async def test_both_bounds_of_time_belong_to_the_range(ada: OrderBuyer) -> None:
    newest, middle, oldest = await ids_by_day(ada, 3)
    when = {order["id"]: datetime.fromisoformat(order["createdAt"]) for order in await ada.listed()}

    async def found(**bounds: datetime) -> list[str]:
        texts = {name: moment.isoformat() for name, moment in bounds.items()}
        return [order["id"] for order in await ada.listed(**texts)]

    assert await found(createdFrom=when[middle]) == [newest, middle]
    assert await found(createdTo=when[middle]) == [middle, oldest]
    assert await found(createdFrom=when[middle], createdTo=when[middle]) == [middle]
    assert await found(createdFrom=when[newest] + timedelta(seconds=1)) == []


async def test_a_cursor_is_valid_only_for_the_list_it_came_from(ada: OrderBuyer, mallory: OrderBuyer) -> None:
    for _ in range(2):
        await ada.order()
    cursor = (await ada.get("/v1/orders", limit=1)).json()["nextCursor"]
    answer = await mallory.get("/v1/orders", cursor=cursor)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/cursor"]


async def test_a_forged_cursor_reveals_nothing_about_another_buyers_order(
    ada: OrderBuyer, mallory: OrderBuyer, sandbox: Sandbox
) -> None:
    adas = await ada.order()
    await mallory.order()
    wrong = SecretStr("not the portal's")
    await sandbox.client.delete("/_sandbox/requests")
    answers = [
        await mallory.get("/v1/orders", cursor=sign_cursor(wrong, CustomerId("mallory"), order_id))
        for order_id in (adas["id"], "999999999999")
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].json()["errors"] == answers[1].json()["errors"]
    assert (await sandbox.get("/_sandbox/requests"))["calls"] == []


async def test_a_cursor_whose_order_is_gone_is_refused_as_a_cursor(ada: OrderBuyer) -> None:
    secret = ada.portal.settings.digital_river_secret_key
    cursor = sign_cursor(secret, CustomerId("ada"), "999999999999")
    answer = await ada.get("/v1/orders", cursor=cursor)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/cursor"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_orders_can_only_be_read(method: str, ada: OrderBuyer) -> None:
    for path in ("/v1/orders", "/v1/orders/1", "/v1/orders/1/tracking", "/v1/orders/1/refunds"):
        answer = await ada.portal.client.request(method, path, headers=ada.token)
        assert answer.status_code == 405
        assert "GET" in answer.headers["Allow"]


BAD: dict[str, tuple[str, dict[str, Any], int, list[str]]] = {
    "limit 0": ("/v1/orders", {"limit": 0}, 422, ["/query/limit"]),
    "limit 101": ("/v1/orders", {"limit": 101}, 422, ["/query/limit"]),
    "limit of words": ("/v1/orders", {"limit": "all"}, 422, ["/query/limit"]),
    "unknown state": ("/v1/orders", {"state": "shipped"}, 422, ["/query/state"]),
    "our own status": ("/v1/orders", {"state": "inReview"}, 422, ["/query/state"]),
    "unknown name": ("/v1/orders", {"email": "a@b.c"}, 422, ["/query/email"]),
    "their cursor": ("/v1/orders", {"startingAfter": "1"}, 422, ["/query/startingAfter"]),
    "a date": ("/v1/orders", {"createdFrom": "2026-01-31"}, 422, ["/query/createdFrom"]),
    "no offset": ("/v1/orders", {"createdTo": "2026-01-31T09:30:00"}, 422, ["/query/createdTo"]),
    "a number": ("/v1/orders", {"createdTo": "1769851800"}, 422, ["/query/createdTo"]),
    "no such day": ("/v1/orders", {"createdTo": "2026-02-30T09:30:00Z"}, 422, ["/query/createdTo"]),
    "wrong way round": (
        "/v1/orders",
        {"createdFrom": "2026-02-01T00:00:00Z", "createdTo": "2026-01-01T00:00:00Z"},
        422,
        ["/query/createdTo"],
    ),
    "a cursor of words": ("/v1/orders", {"cursor": "next"}, 422, ["/query/cursor"]),
    "no base64": ("/v1/orders", {"cursor": "%%%"}, 422, ["/query/cursor"]),
    "an unsealed cursor": ("/v1/orders", {"cursor": "eyJhZnRlciI6IjEifQ"}, 422, ["/query/cursor"]),
    "a long cursor": ("/v1/orders", {"cursor": "a" * 1025}, 422, ["/query/cursor"]),
    "NUL in an id": ("/v1/orders/a%00b", {}, 422, ["/path/orderId"]),
    "a long id": (f"/v1/orders/{'1' * 101}", {}, 422, ["/path/orderId"]),
    "dots": ("/v1/orders/..", {}, 404, []),
    "a slash": ("/v1/orders/..%2Fcustomers", {}, 404, []),
    "expand": ("/v1/orders/1", {"expand": "true"}, 422, ["/query/expand"]),
    "cursor of refunds": ("/v1/orders/1/refunds", {"cursor": "x"}, 422, ["/query/cursor"]),
    "limit of tracking": ("/v1/orders/1/tracking", {"limit": 1}, 422, ["/query/limit"]),
}


@pytest.mark.parametrize("case", sorted(BAD))
async def test_an_invalid_request_is_answered_with_what_to_change(
    case: str, ada: OrderBuyer, sandbox: Sandbox
) -> None:
    path, params, status, pointers = BAD[case]
    answer = await ada.get(path, **params)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: Json = answer.json()
    assert [error["pointer"] for error in problem.get("errors", [])] == pointers
    assert (await sandbox.get("/_sandbox/requests"))["counts"].keys() <= {"POST /webhooks"}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
@pytest.mark.parametrize("name", ["createdFrom", "createdTo"])
async def test_the_ends_of_time_are_times(name: str, moment: str, ada: OrderBuyer) -> None:
    await ada.order()
    is_all = (name == "createdFrom") == moment.startswith("0001")
    assert len(await ada.listed(**{name: moment})) == int(is_all)
