"""The client and the sandbox, two independent readings of the same documents, agree."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import BytesIO

import httpx
import pytest

from app.digital_river.api import customers, events, files, orders
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Upload
from app.digital_river.errors import ConflictingState, Missing, Refused, Unauthorised
from app.digital_river.models import CustomerChanges, Order
from app.ids import CustomerId, FileId, OrderId
from tests.support.digital_river import settings
from tests.support.sandbox import Sandbox

TIMEOUT_SECONDS = 10.0


@pytest.fixture
def url(sandbox: Sandbox) -> str:
    return sandbox.url


@pytest.fixture
async def digital_river(url: str) -> AsyncIterator[DigitalRiverClient]:
    async with DigitalRiverClient.open(settings(url=url, key="sk_test_sandbox")) as digital_river:
        yield digital_river


async def order_of(url: str, customer_id: str) -> OrderId:
    """A paid order of that customer, as a checkout would have made it."""
    async with httpx.AsyncClient(base_url=url) as control:
        made = await control.post("/_sandbox/orders", json={"customerId": customer_id})
        assert made.is_success, made.text
        return OrderId(made.json()["id"])


async def invoiced(url: str, digital_river: DigitalRiverClient, order_id: OrderId) -> Order:
    """The order after it was shipped and its invoice exists."""
    order = await orders.fetch_any_order(digital_river, order_id)
    items = [{"itemId": item.id, "quantity": item.quantity} for item in order.items]
    async with httpx.AsyncClient(base_url=url) as api:
        shipped = await api.post(
            "/fulfillments",
            json={"orderId": order_id, "items": items},
            headers={"authorization": "Bearer sk_test_sandbox"},
        )
        assert shipped.is_success, shipped.text
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (order := await orders.fetch_any_order(digital_river, order_id)).invoice_pdfs:
        assert time.monotonic() < deadline, "no invoice"
        await asyncio.sleep(0.02)
    return order


async def test_an_invoice_is_found_linked_and_streamed(url: str, digital_river: DigitalRiverClient) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)
    order_id = await order_of(url, "ada")
    order = await invoiced(url, digital_river, order_id)
    assert order.total_amount is not None
    assert order.total_amount > 0
    assert order.payment.charges

    file_id = FileId(order.invoice_pdfs[0].id)
    assert (await files.fetch_file(digital_river, file_id)).purpose == "customer_invoice"
    assert await files.fetch_live_links(digital_river, file_id) == []
    link = await files.create_link(digital_river, file_id, datetime.now(UTC) + timedelta(hours=1))
    assert [live.id for live in await files.fetch_live_links(digital_river, file_id)] == [link.id]

    async with files.stream_content(digital_river, file_id) as download:
        pdf = b"".join([chunk async for chunk in download.chunks])
        assert download.content_type == "application/pdf"
    assert pdf.startswith(b"%PDF-")

    listed = await events.fetch_events(digital_river, event_type="order.invoice.created", created_from=began)
    assert file_id in {event["data"]["object"].get("fileId") for event in listed.data}
    assert await orders.fetch_refunds(digital_river, order_id) == []


async def test_a_customers_orders_are_paged_newest_first(url: str, digital_river: DigitalRiverClient) -> None:
    made = [await order_of(url, "grace") for _ in range(5)]
    await order_of(url, "somebody-else")
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await orders.fetch_orders(
            digital_river, customer_id=CustomerId("grace"), limit=2, starting_after=after
        )
        seen += [order.id for order in page.data]
        after = page.next_after
        if after is None:
            break
    assert seen == made[::-1]


async def test_what_does_not_exist_is_missing(digital_river: DigitalRiverClient) -> None:
    for odd in ("nothing", "a/b", "ä?x=1", "%2e%2e"):
        with pytest.raises(Missing) as caught:
            await orders.fetch_any_order(digital_river, OrderId(odd))
        assert caught.value.request_id


async def test_a_second_customer_under_one_id_is_a_conflict(digital_river: DigitalRiverClient) -> None:
    changes = CustomerChanges(email="ada@example.com")
    customer = await customers.create_customer(digital_river, CustomerId("twice"), changes)
    assert (customer.id, customer.email) == ("twice", "ada@example.com")
    with pytest.raises(ConflictingState):
        await customers.create_customer(digital_river, CustomerId("twice"), changes)


async def test_a_link_into_the_past_is_refused(url: str, digital_river: DigitalRiverClient) -> None:
    order = await invoiced(url, digital_river, await order_of(url, "ada"))
    with pytest.raises(Refused) as caught:
        await files.create_link(
            digital_river, FileId(order.invoice_pdfs[0].id), datetime.now(UTC) - timedelta(days=1)
        )
    assert caught.value.parameters == ("expiresTime",)


async def test_a_wrong_key_is_our_own_fault(url: str) -> None:
    async with DigitalRiverClient.open(settings(url=url, key="sk_test_wrong")) as digital_river:
        with pytest.raises(Unauthorised):
            await orders.fetch_any_order(digital_river, OrderId("1"))


async def test_a_customer_is_created_once_however_many_callers_need_it(
    digital_river: DigitalRiverClient,
) -> None:
    wanted = CustomerId("needed-by-many")
    found = await asyncio.gather(*(customers.ensure_customer(digital_river, wanted) for _ in range(8)))
    assert {customer.id for customer in found} == {wanted}
    assert len({customer.created_time for customer in found}) == 1
    assert (await customers.ensure_customer(digital_river, wanted)).created_time == found[0].created_time


async def test_an_uploaded_file_can_be_deleted(digital_river: DigitalRiverClient) -> None:
    upload = Upload("a.pdf", "application/pdf", BytesIO(b"%PDF-1.7"))
    file = await files.upload_file(digital_river, purpose="tax_document_customer_upload", upload=upload)
    await files.delete_file(digital_river, FileId(file.id))
    with pytest.raises(Missing):
        await files.fetch_file(digital_river, FileId(file.id))
