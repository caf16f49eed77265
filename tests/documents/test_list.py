"""The list of documents is rendered without models, and still is what the published models would write."""

import json
from typing import Any

import asyncpg
import pytest

from app.documents.schemas import DocumentsPage, OrderDocumentsPage
from tests.support.portal import Portal
from tests.support.sandbox import Sandbox

# File names, and times of all forms that PostgreSQL's JSON has: no fraction, six digits, fewer, none at all.
ODD_DOCUMENTS = (
    ("invoice.pdf", "2026-01-31T09:30:00Z"),
    ('a "quoted" \\ name.pdf', "2026-01-31T09:30:00.123456Z"),
    ("line\nbreak\ttab\r\b\f\x01\x1f\x7f.pdf", "2026-01-31T09:30:00.120000Z"),
    ("Größe \N{GRINNING FACE} \u2028 </script> & co.pdf", "2026-01-31T09:30:00.1Z"),
    ("", "0001-01-02T00:00:00Z"),
    ("first", "-infinity"),
    ("last", "infinity"),
    ("almost last", "9999-12-30T23:59:59.999999Z"),
)
ODD_LINKS = (
    ("http://127.0.0.1/links/1?a=%22&b='c'", "now() + interval '1 hour'"),
    ("http://127.0.0.1/links/2", "date_trunc('second', now()) + interval '1 day'"),
    ("https://evil.example/links/3", "now() + interval '1 hour'"),
    ('http://127.0.0.1/"links/4', "now() + interval '1 hour'"),
    ("http://127.0.0.1/links/5", "now() + interval '1 minute'"),
)


@pytest.fixture
async def odd_documents(database: asyncpg.Connection) -> None:
    """Documents of Ada's with the times and names above, some with links."""
    for number, (name, moment) in enumerate(ODD_DOCUMENTS):
        await database.execute(
            """INSERT INTO document
                   (file_id, order_id, customer_id, kind, file_name, created_at, available_since)
               VALUES ($1, $2, 'ada', $3, $4, $5::text::timestamptz, $5::text::timestamptz)""",
            f"file {number}",
            f"order:{number}",
            "creditMemo" if number % 2 else "invoice",
            name,
            moment,
        )
    for number, (url, moment) in enumerate(ODD_LINKS):
        await database.execute(
            f"INSERT INTO file_link (file_id, link_id, url, expires_at) VALUES ($1, 'link', $2, {moment})",
            f"file {number}",
            url,
        )


def items_of(page: bytes) -> list[bytes]:
    """The bytes of each document on the page."""
    decoder, text, items = json.JSONDecoder(), page.decode(), []
    at = text.index("[") + 1
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        items.append(text[at:end].encode())
        at = end + (text[end] == ",")
    return items


async def get(portal: Portal, token: dict[str, str], path: str, **params: Any) -> bytes:
    return (await portal.get(path, token, **params)).raise_for_status().content


@pytest.mark.usefixtures("odd_documents")
async def test_a_page_is_byte_for_byte_what_its_model_writes(portal: Portal, sandbox: Sandbox) -> None:
    page = await get(portal, await sandbox.token("ada"), "/v1/documents")
    model = DocumentsPage.model_validate_json(page)
    assert page == model.model_dump_json().encode()
    assert {document.file_name for document in model.data} == {name for name, _ in ODD_DOCUMENTS}
    assert [document.link is not None for document in reversed(model.data) if document.link] == [True, True]


@pytest.mark.usefixtures("odd_documents")
async def test_a_document_is_the_same_in_the_list_of_its_order_and_alone(
    portal: Portal, sandbox: Sandbox
) -> None:
    token = await sandbox.token("ada")
    items = items_of(await get(portal, token, "/v1/documents"))
    assert len(items) == len(ODD_DOCUMENTS)
    for item in items:
        assert item == await get(portal, token, f"/v1/documents/{json.loads(item)['id']}")


async def test_the_documents_of_an_order_are_what_their_model_writes(
    portal: Portal, sandbox: Sandbox
) -> None:
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    token = await sandbox.token("ada")
    page = await get(portal, token, f"/v1/orders/{order['id']}/documents")
    model = OrderDocumentsPage.model_validate_json(page)
    assert page == model.model_dump_json().encode()
    assert (len(model.data), model.availability.invoice) == (1, "ready")


@pytest.mark.usefixtures("odd_documents")
async def test_pages_of_any_size_hold_every_document_once_and_in_the_same_order(
    portal: Portal, sandbox: Sandbox
) -> None:
    token = await sandbox.token("ada")
    whole = items_of(await get(portal, token, "/v1/documents"))
    for limit in (1, 3):
        paged: list[bytes] = []
        cursor: dict[str, str] = {}
        while True:
            page = await get(portal, token, "/v1/documents", limit=limit, **cursor)
            paged += items_of(page)
            if (after := json.loads(page)["nextCursor"]) is None:
                break
            cursor = {"cursor": after}
        assert paged == whole
