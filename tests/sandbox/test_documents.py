"""From capture to invoice and from refund to credit memo: the events, the order, the PDF."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pypdf import PdfReader

from sandbox.commerce.invoice_locales import LOCALES, get_locale_format
from sandbox.commerce.invoice_pdf import DocumentContent, Row, render
from tests.data.digital_river import payload
from tests.sandbox.receiver import Receiver
from tests.support.api_client import ApiClient, Json
from tests.support.clock import eventually

EVENTS = {
    "order_invoice_created": "order.invoice.created",
    "order_credit_memo_created": "order.credit_memo.created",
    "fulfillment_created": "fulfillment.created",
    "order_complete": "order.complete",
    "order_charge_capture_complete": "order.charge.capture.complete",
    "order_charge_refund_complete": "order.charge.refund.complete",
    "refund_pending": "refund.pending",
    "refund_complete": "refund.complete",
}
# Members that a printed sample has by the accident of its order.
ACCIDENTS = {"paymentSessionId", "webhookIds"}


def text_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return "\n".join(page.extract_text() for page in pages)


async def test_a_fulfillment_leads_to_events_a_complete_order_and_an_invoice(
    api: ApiClient, receiver: Receiver
) -> None:
    await api.webhook(receiver.url)
    order = await api.complete(customerId="ada")
    assert order["state"] == "complete"
    assert order["capturedAmount"] == order["totalAmount"] == 44.0
    (invoice,) = order["invoicePDFs"]
    assert await api.event_types() == [
        "order.accepted",
        "fulfillment.created",
        "order.fulfilled",
        "order.charge.capture.complete",
        "order.complete",
        "file.created",
        "order.invoice.created",
    ]
    announced = (await api.get("/events?type=order.invoice.created"))["data"][0]
    assert announced["data"]["object"] == {
        "id": invoice["id"],
        "fileId": invoice["id"],
        "orderId": order["id"],
        "customerId": "ada",
        "purpose": "customer_invoice",
        "invoiceURL": invoice["url"],
    }
    await api.deliveries(5)
    assert announced["id"] in {json.loads(request.body)["id"] for request in receiver.requests}


async def test_a_refund_is_pending_then_paid_back_with_a_credit_memo(api: ApiClient) -> None:
    order = await api.complete(customerId="ada")
    refund = await api.refund(order, amount=11)
    assert (refund["state"], refund["refundedAmount"]) == ("pending", 0)
    assert (await api.get(f"/orders/{order['id']}"))["availableToRefundAmount"] == 33.0
    order = await api.with_documents(order, "creditMemoPDFs")
    assert (order["state"], order["refundedAmount"]) == ("complete", 11.0)
    settled = await api.get(f"/refunds/{refund['id']}")
    assert (settled["state"], settled["refundedAmount"]) == ("succeeded", 11.0)
    assert settled["charges"][0]["refunds"][0]["state"] == "complete"
    assert (await api.event_types())[-6:] == [
        "refund.pending",
        "refund.complete",
        "order.charge.refund.complete",
        "order.refunded",
        "file.created",
        "order.credit_memo.created",
    ]


async def test_a_guests_order_names_no_customer_anywhere(api: ApiClient) -> None:
    order = await api.complete()
    assert "customerId" not in order
    (announced,) = (await api.get("/events?type=order.invoice.created"))["data"]
    assert "customerId" not in announced["data"]["object"]


async def test_every_capture_has_an_invoice_of_its_own(api: ApiClient) -> None:
    lamp = {"name": "Desk lamp", "price": 10, "quantity": 3, "taxRate": "0.0825"}
    order = await api.order(items=[lamp])
    (item,) = order["items"]
    for count in (1, 2, 3):
        await api.fulfil(order, {"itemId": item["id"], "quantity": 1})
        order = await api.with_documents(order, count=count)
        assert order["state"] == ("complete" if count == 3 else "accepted")
    assert order["capturedAmount"] == order["totalAmount"] == 32.48
    amounts = [entry["amount"] for entry in order["payment"]["charges"][0]["captures"]]
    assert sum(Decimal(str(amount)) for amount in amounts) == Decimal("32.48")


@pytest.mark.parametrize(
    "wish",
    [{"items": [{"price": 0}]}, {"sellingEntity": "DR_TAIWAN-ENTITY"}],
    ids=["total of 0", "entity without automatic invoices"],
)
async def test_some_orders_complete_without_an_invoice(api: ApiClient, wish: Json) -> None:
    order = await api.order(**wish)
    await api.fulfil(order)

    async def is_complete() -> bool:
        return bool((await api.get(f"/orders/{order['id']}"))["state"] == "complete")

    await eventually(is_complete)
    assert "invoicePDFs" not in await api.get(f"/orders/{order['id']}")
    assert "order.invoice.created" not in await api.event_types()


async def test_the_invoice_is_a_pdf_in_the_orders_language(api: ApiClient) -> None:
    items = [{"name": "Żółta lampka", "price": "617.25", "quantity": 2, "taxRate": "0.23"}]
    order = await api.complete(locale="pl_PL", currency="PLN", items=items, email="ada@example.com")
    (invoice,) = order["invoicePDFs"]
    content = await api.client.get(f"/files/{invoice['id']}/content")
    assert content.headers["content-type"] == "application/pdf"
    text = text_of(content.content)
    for expected in (
        "Zamówienie: " + order["id"],
        "Żółta lampka",
        "1 234,50 PLN",
        "283,94 PLN",
        "1 518,44 PLN",
    ):
        assert expected in text


@pytest.mark.proof
@pytest.mark.parametrize("locale", LOCALES)
def test_every_locales_labels_numbers_and_dates_can_be_read_back(locale: str) -> None:
    document = DocumentContent(
        kind="credit_memo",
        number="1",
        order_id="204440790336",
        issued=datetime(2026, 3, 9, tzinfo=UTC),
        seller="Digital River Inc.",
        buyer=["Zdeněk Żółć"],
        rows=[Row("Widget", 2, Decimal("1234.50"))],
        subtotal=Decimal("1234.50"),
        tax=Decimal("65.50"),
        total=Decimal("1300.00"),
        currency="EUR",
        locale=locale,
    )
    text, locale_format = text_of(render(document)), get_locale_format(locale)
    for label in ("credit_memo", "order", "date", "item", "quantity", "amount", "subtotal", "tax", "total"):
        assert locale_format.label(label) in text
    for written in (
        locale_format.date(document.issued),
        locale_format.money(document.total, "EUR"),
        "Zdeněk Żółć",
    ):
        assert written.replace("\u00a0", " ").replace("\u202f", " ") in text


def test_a_long_invoice_continues_on_further_pages() -> None:
    rows = [Row(f"Part {number}", 1, Decimal(1)) for number in range(90)]
    money = Decimal(90)
    document = DocumentContent(
        "invoice",
        "1",
        "2",
        datetime(2026, 1, 1, tzinfo=UTC),
        "DR",
        [],
        rows,
        money,
        money,
        money,
        "USD",
        "en_US",
    )
    content = render(document)
    assert len(PdfReader(io.BytesIO(content)).pages) > 1
    assert "Part 89" in text_of(content)


@pytest.mark.proof
@pytest.mark.parametrize(("sample", "event_type"), EVENTS.items())
async def test_events_have_the_members_of_the_printed_samples(
    api: ApiClient, sample: str, event_type: str
) -> None:
    printed = payload(f"events/{sample}")
    order = await api.complete(customerId="ada")
    await api.refund(order, amount=1)
    await api.with_documents(order, "creditMemoPDFs")
    event = (await api.get("/events", {"type": event_type}))["data"][0]
    assert set(printed) - set(event) <= ACCIDENTS
    assert set(printed["data"]["object"]) - set(event["data"]["object"]) - ACCIDENTS == _optional(event_type)


def _optional(event_type: str) -> set[str]:
    """Tracking is printed because that merchant sent it."""
    tracking = {"trackingCompany", "trackingNumber", "trackingUrl"}
    return tracking if event_type == "fulfillment.created" else set()
