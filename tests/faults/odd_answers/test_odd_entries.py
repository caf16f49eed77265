"""A bad value costs its field or its entry; if it is an amount or an owner, it costs the whole answer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import structlog

from tests.support.buyers import OrderBuyer
from tests.support.rewriting_proxy import Raw, RewritingProxy, rewriting
from tests.support.sandbox import Json

CANARY = "canary-value"


def changed(what: Callable[[Json], Any]) -> Callable[[Json], Json]:
    """`what` is done to the answer."""

    def change(found: Json) -> Json:
        what(found)
        return found

    return change


async def invoiced(ada: OrderBuyer) -> Json:
    order = await ada.order()
    await ada.sandbox.invoiced(order)
    return order


def unreadable(logs: list[Any]) -> list[Any]:
    assert CANARY not in str(logs)
    return [line for line in logs if line["event"] == "digital_river.unreadable"]


async def test_an_order_that_cannot_be_read_costs_the_list_that_order_alone(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    orders = [await ada.order() for _ in range(3)]
    proxy.rewrite = rewriting(
        "/orders", changed(lambda page: page["data"][1].update(totalAmount=CANARY, id=orders[1]["id"]))
    )
    with structlog.testing.capture_logs() as logs:
        page = (await ada.get("/v1/orders")).raise_for_status().json()
    assert [one["id"] for one in page["data"]] == [orders[2]["id"], orders[0]["id"]]
    assert page["unreadable"] == 1
    (line,) = unreadable(logs)
    assert (line["route"], line["field"], line["error"], line["entry"]) == (
        "/orders",
        "Listing.data.1.totalAmount",
        "decimal_parsing",
        orders[1]["id"],
    )


@pytest.mark.proof
async def test_the_list_goes_on_behind_a_page_whose_last_order_cannot_be_read(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    orders = [(await ada.order())["id"] for _ in range(4)][::-1]
    for last in ({"totalAmount": CANARY}, {"id": {"a": 1}}, {"id": "a\x00b"}):
        await _goes_on(orders, last, proxy, ada)


async def _goes_on(orders: list[str], last: Json, proxy: RewritingProxy, ada: OrderBuyer) -> None:
    victim = orders[1]

    def spoil(page: Json) -> None:
        for found in page["data"]:
            if found["id"] == victim:
                found.update(last)

    proxy.rewrite = rewriting("/orders", changed(spoil))
    seen, cursor = [], None
    for _ in range(4):
        page = (await ada.get("/v1/orders", limit=2, **({"cursor": cursor} if cursor else {}))).json()
        seen += [one["id"] for one in page["data"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == [one for one in orders if one != victim]


async def test_a_page_without_any_usable_id_and_more_to_come_is_a_bad_gateway(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    for _ in range(2):
        await ada.order()
    proxy.rewrite = rewriting("/orders", changed(lambda page: page["data"][0].update(id=[])))
    assert (await ada.get("/v1/orders", limit=1)).status_code == 502


async def test_a_bad_value_of_a_plain_field_is_missing_and_named_in_the_log(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    order = await ada.order()
    leaves = {"locale": [CANARY], "updatedTime": CANARY, "shipTo": CANARY, "requestToBeForgotten": {}}
    proxy.rewrite = rewriting(f"/orders/{order['id']}", changed(lambda found: found.update(leaves)))
    with structlog.testing.capture_logs() as logs:
        page = await ada.page(order)
    assert (page["locale"], page["updatedAt"], page["shipTo"]) == (None, None, None)
    assert page["amounts"]["total"] is not None
    assert {(line["field"], line["entry"]) for line in unreadable(logs)} == {
        (f"Order.{leaf}", order["id"]) for leaf in leaves
    }


async def test_an_order_whose_money_cannot_be_read_is_not_shown(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    order = await ada.order()
    useless: list[Any] = [[CANARY], {}, True, CANARY + " x"]
    bad_values = [(field, bad_value) for field in ("totalAmount", "refundedAmount") for bad_value in useless]
    for field, bad_value in [*bad_values, ("totalAmount", "NaN"), ("capturedAmount", Raw("1e999"))]:
        spoil = partial(dict.update, **{field: bad_value})
        proxy.rewrite = rewriting(f"/orders/{order['id']}", changed(spoil))
        with structlog.testing.capture_logs() as logs:
            assert (await ada.get(f"/v1/orders/{order['id']}")).status_code == 502
        assert CANARY not in str(logs)
        (why,) = {line["why"] for line in logs if "why" in line}
        assert field in why


@pytest.mark.proof
async def test_an_odd_part_of_an_order_is_left_out_of_its_page_and_named_there(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    order = await invoiced(ada)

    def spoil(found: Json) -> None:
        found["items"].append({"id": "9", "amount": CANARY})
        found["payment"]["sources"].append({"id": "8", "amount": []})
        found["payment"]["charges"][0]["captures"].append({"amount": {}})
        found["stateTransitions"]["accepted"] = CANARY

    proxy.rewrite = rewriting(f"/orders/{order['id']}", changed(spoil))
    page = await ada.page(order)
    assert [item["id"] for item in page["items"]] == [order["items"][0]["id"]]
    assert len(page["paymentMethods"]) == 1
    assert page["incomplete"] == ["items", "paymentMethods", "transactions", "timeline"]


@pytest.mark.proof
async def test_an_odd_shipment_makes_the_quantities_unknown_and_not_smaller(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    order = await invoiced(ada)

    def spoil(page: Json) -> None:
        page["data"][0]["items"][0]["quantity"] = CANARY

    proxy.rewrite = rewriting("/fulfillments", changed(spoil))
    page = await ada.page(order)
    assert page["items"][0]["shippedQuantity"] is None
    assert page["incomplete"] == ["shipments"]
    assert (await ada.get(f"/v1/orders/{order['id']}/tracking")).json()["unreadable"] == 1


@pytest.mark.proof
async def test_an_odd_refund_costs_that_refund_and_an_odd_line_makes_no_smaller_sum(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    order = await invoiced(ada)
    await ada.refunded(order)

    def spoil(page: Json) -> None:
        (refund,) = page["data"]
        lines = [{"itemId": "1", "amount": 1}, {"itemId": "2", "amount": CANARY}]
        page["data"] = [
            {**refund, "id": "re_1", "amount": CANARY},
            {**refund, "id": "re_2", "amount": None, "items": lines},
        ]

    proxy.rewrite = rewriting("/refunds", changed(spoil))
    page = (await ada.get(f"/v1/orders/{order['id']}/refunds")).raise_for_status().json()
    assert page["unreadable"] == 1
    (refund,) = page["data"]
    assert (refund["id"], refund["amount"], refund["unreadable"], len(refund["items"])) == (
        "re_2",
        None,
        1,
        1,
    )
    assert "refunds" in (await ada.page(order))["incomplete"]


@pytest.mark.proof
async def test_lists_of_a_customer_name_what_they_lack(proxy: RewritingProxy, ada: OrderBuyer) -> None:
    await ada.get("/v1/customers/me")
    source = {
        "id": "s",
        "type": "creditCard",
        "creditCard": {"expirationMonth": 12.0, "expirationYear": "2031"},
    }

    def spoil(found: Json) -> None:
        found["sources"] = [source, {"id": "t", "amount": CANARY}, CANARY]
        found["taxCertificates"] = [{"companyName": "Acme", "startDate": CANARY}, CANARY]

    proxy.rewrite = rewriting("/customers/ada", changed(spoil))
    saved = (await ada.get("/v1/customers/me/payment-sources")).json()
    assert [one["id"] for one in saved["data"]] == ["s"]
    assert (saved["data"][0]["expiryMonth"], saved["data"][0]["expiryYear"]) == (12, 2031)
    assert saved["unreadable"] == 2
    certificates = (await ada.get("/v1/customers/me/tax-certificates")).json()
    assert [one["company"] for one in certificates["data"]] == ["Acme"]
    assert certificates["unreadable"] == 1
    # An incomplete export would look complete.
    assert (await ada.get("/v1/customers/me/export")).status_code == 502


async def test_an_odd_tax_identifier_is_counted(proxy: RewritingProxy, ada: OrderBuyer) -> None:
    await ada.get("/v1/customers/me")
    own = {"id": "u", "customerId": "ada", "type": "at", "value": "U"}
    odd = [{"id": "t", "customerId": [CANARY], "type": "de"}, own]
    proxy.rewrite = rewriting("/tax-identifiers", changed(lambda page: page.update(data=odd)))
    page = (await ada.get("/v1/customers/me/tax-identifiers")).json()
    assert ([one["id"] for one in page["data"]], page["unreadable"]) == (["u"], 1)
