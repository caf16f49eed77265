"""The portal never shows an answer about another resource than the one it asked for."""

from collections.abc import Callable

import asyncpg
import structlog

from tests.support.buyers import OrderBuyer
from tests.support.rewriting_proxy import RewritingProxy, rewriting
from tests.support.sandbox import Json

OTHER = "another"

READS: dict[str, tuple[str, str, Json]] = {
    "profile": ("/customers/", "/v1/customers/me", {"id": OTHER}),
    "shipping address": ("/customers/", "/v1/customers/me/shipping-address", {"id": OTHER}),
    "payment sources": ("/customers/", "/v1/customers/me/payment-sources", {"id": OTHER}),
    "somebody's source": (
        "/customers/",
        "/v1/customers/me/payment-sources",
        {"sources": [{"id": "s", "customerId": OTHER}]},
    ),
    "drop-in": ("/customers/", "/v1/drop-in", {"id": OTHER}),
    "order": ("/orders/{order}", "/v1/orders/{order}", {"id": OTHER}),
}
LISTS: dict[str, tuple[str, str, Json]] = {
    "orders": ("/orders", "/v1/orders", {"data": [{"id": "1", "customerId": OTHER}]}),
    "refunds": ("/refunds", "/v1/orders/{order}/refunds", {"data": [{"id": "r", "orderId": OTHER}]}),
    "parcels": ("/fulfillments", "/v1/orders/{order}/tracking", {"data": [{"id": "f", "orderId": OTHER}]}),
    "tax ids": ("/tax-id", "/v1/customers/me/tax-identifiers", {"data": [{"id": "t", "customerId": OTHER}]}),
}


async def test_an_answer_about_another_resource_is_not_shown(proxy: RewritingProxy, ada: OrderBuyer) -> None:
    order = await ada.order()
    await ada.get("/v1/customers/me")
    for read, (prefix, path, members) in READS.items():
        proxy.rewrite = rewriting(prefix.format(order=order["id"]), with_members(members))
        answer = await ada.get(path.format(order=order["id"]))
        assert answer.status_code == 502, read
        assert OTHER not in answer.text


async def test_entries_of_other_customers_are_left_out(proxy: RewritingProxy, ada: OrderBuyer) -> None:
    order = await ada.order()
    await ada.get("/v1/customers/me")
    for read, (prefix, path, members) in LISTS.items():
        proxy.rewrite = rewriting(prefix, with_members(members))
        with structlog.testing.capture_logs() as logs:
            answer = await ada.get(path.format(order=order["id"]))
        assert answer.status_code == 200, read
        assert OTHER not in answer.text
        assert [line["times"] for line in logs if line["event"] == "digital_river.filter_ignored"] == [1]


async def test_a_write_answered_with_another_customer_shows_nothing_of_it(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    proxy.rewrite = rewriting("/customers", with_members({"id": OTHER, "email": "another@example.com"}))
    answer = await ada.portal.client.put("/v1/customers/me", json={}, headers=ada.token)
    assert answer.status_code == 502


async def test_a_document_is_not_made_of_another_file(
    proxy: RewritingProxy, ada: OrderBuyer, own_database: asyncpg.Connection
) -> None:
    order = await ada.order()
    await ada.sandbox.invoiced(order)
    proxy.rewrite = rewriting("/files/", with_members({"id": OTHER, "fileName": "theirs.pdf"}))
    assert (await ada.get(f"/v1/orders/{order['id']}/documents")).status_code == 502
    assert await own_database.fetchval("SELECT count(*) FROM document") == 0


def with_members(members: Json) -> Callable[[Json], Json]:
    return lambda found: {**found, **members}
