"""If Digital River ignores a filter, the portal still shows no buyer another buyer's data."""

from typing import Any, cast

import httpx
import pytest

from app.digital_river.errors import Garbled
from app.ids import CustomerId, OrderId
from app.orders import order_list, service
from app.orders.order_list import OrderFilter, OrderPage
from app.web.problems import NotFound
from tests.support.digital_river import ScriptedDigitalRiver, settings

ADA = CustomerId("ada")
# A value that only an untyped caller could pass: the type checker refuses it.
FORGOTTEN = cast(Any, None)
SECRET = settings().digital_river_secret_key


def listing(*entries: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"data": list(entries), "hasMore": False})


def order(customer_id: str | None, order_id: str = "1") -> dict[str, Any]:
    return {"id": order_id} if customer_id is None else {"id": order_id, "customerId": customer_id}


async def ask_service(scripted: ScriptedDigitalRiver, function: Any, *words: Any, **more: Any) -> Any:
    """The service's answer with this scripted Digital River."""
    async with scripted.opened() as digital_river:
        return await function(digital_river, *words, **more)


async def test_orders_without_an_owner_are_left_out_of_the_list() -> None:
    found = await listed([order("ada", "2"), order(None, "3")])
    assert [one.id for one in found.orders] == ["2"]


async def test_a_list_that_repeats_a_page_is_an_error() -> None:
    again = httpx.Response(200, json={"data": [order("ada", "2"), order("ada", "1")], "hasMore": True})
    cursor = (
        await ask_service(
            ScriptedDigitalRiver([again]),
            order_list.list_orders,
            SECRET,
            ADA,
            OrderFilter(),
            limit=2,
            cursor=None,
        )
    ).next_cursor
    with pytest.raises(Garbled, match="repeats itself"):
        await ask_service(
            ScriptedDigitalRiver([again]),
            order_list.list_orders,
            SECRET,
            ADA,
            OrderFilter(),
            limit=2,
            cursor=cursor,
        )


async def test_an_export_leaves_a_list_that_repeats_itself() -> None:
    scripted = ScriptedDigitalRiver(
        [httpx.Response(200, json={"data": [order("ada", "1")], "hasMore": True})]
    )
    async with scripted.opened() as digital_river:
        with pytest.raises(Garbled, match="repeats itself"):
            await service.list_all_order_views(digital_river, ADA)
    assert len(scripted.requests) == 2


@pytest.mark.parametrize("owner", ["mallory", "Ada"])
async def test_orders_of_other_buyers_are_left_out_of_the_list(owner: str) -> None:
    found = await listed([order("ada", "2"), order(owner, "4")])
    assert [one.id for one in found.orders] == ["2"]
    assert found.unreadable == 0


async def listed(entries: list[dict[str, Any]]) -> OrderPage:
    function, scripted = order_list.list_orders, ScriptedDigitalRiver([listing(*entries)])
    return cast(
        OrderPage, await ask_service(scripted, function, SECRET, ADA, OrderFilter(), limit=20, cursor=None)
    )


async def test_refunds_of_other_orders_are_left_out() -> None:
    refunds = [{"id": "re_1", "orderId": "1"}, {"id": "re_2", "orderId": "2"}, {"id": "re_3"}]
    scripted = ScriptedDigitalRiver([httpx.Response(200, json=order("ada")), listing(*refunds)])
    _, found = await ask_service(scripted, service.get_refunds, ADA, OrderId("1"))
    assert [refund.id for refund in found] == ["re_1"]


async def test_parcels_of_other_orders_are_left_out() -> None:
    items = [{"itemId": "1", "quantity": 1}]
    sent = [{"id": f"ful_{owner}", "orderId": owner, "items": items} for owner in ("1", "2")]
    answers = [
        httpx.Response(200, json=order("ada")),
        httpx.Response(200, json={"orderId": "1", "shipments": []}),
        listing(*sent),
    ]
    found = await ask_service(ScriptedDigitalRiver([*answers]), service.get_tracking, ADA, OrderId("1"))
    assert len(found.shipments) == 1


async def test_tracking_of_another_order_is_not_shown() -> None:
    answers = [httpx.Response(200, json=order("ada")), httpx.Response(200, json={"orderId": "2"})]
    with pytest.raises(Garbled, match="order_id"):
        await ask_service(ScriptedDigitalRiver([*answers]), service.get_tracking, ADA, OrderId("1"))


@pytest.mark.parametrize("owner", ["mallory", "Ada", None])
async def test_no_call_is_made_about_an_order_of_another_customer(owner: str | None) -> None:
    scripted = ScriptedDigitalRiver([httpx.Response(200, json=order(owner))])
    for function in (service.get_owned_order, service.get_refunds, service.get_tracking):
        with pytest.raises(NotFound):
            await ask_service(scripted, function, ADA, OrderId("1"))
    assert [request.url.path for request in scripted.requests] == ["/orders/1"] * 3


@pytest.mark.parametrize("odd", [{"totalAmount": "x"}, {"totalTax": {}}, {"id": "2"}])
async def test_only_its_owner_learns_that_an_order_cannot_be_read(odd: dict[str, Any]) -> None:
    answer = httpx.Response(200, json=order("ada") | odd)
    for function in (service.get_owned_order, service.get_refunds, service.get_tracking):
        with pytest.raises(NotFound):
            await ask_service(ScriptedDigitalRiver([answer]), function, CustomerId("mallory"), OrderId("1"))
        with pytest.raises(Garbled):
            await ask_service(ScriptedDigitalRiver([answer]), function, ADA, OrderId("1"))


@pytest.mark.parametrize("owner", [{"id": "ada"}, ["ada"], "a" * 500, True, "", None, 1.5])
async def test_an_order_whose_owner_cannot_be_read_has_no_owner(owner: object) -> None:
    answer = httpx.Response(200, json={"id": "1", "customerId": owner})
    for asker in (ADA, FORGOTTEN):
        with pytest.raises(NotFound):
            await ask_service(ScriptedDigitalRiver([answer]), service.get_owned_order, asker, OrderId("1"))


@pytest.mark.parametrize("owner", [None, True, 1.5, ["ada"]])
async def test_no_customer_is_named_like_an_owner_that_cannot_be_read(owner: object) -> None:
    answer = httpx.Response(200, json={"id": "1", "customerId": owner})
    with pytest.raises(NotFound):
        await ask_service(
            ScriptedDigitalRiver([answer]), service.get_owned_order, CustomerId(str(owner)), OrderId("1")
        )


async def test_an_owner_id_that_is_a_number_is_read() -> None:
    answer = httpx.Response(200, json={"id": "1", "customerId": 17})
    found = await ask_service(
        ScriptedDigitalRiver([answer]), service.get_owned_order, CustomerId("17"), OrderId("1")
    )
    assert found.customer_id == "17"
