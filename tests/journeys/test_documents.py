"""A signed event becomes a document that its owner, and no other buyer, can open at any later time."""

import asyncio
import io
from uuid import uuid4

import asyncpg
import httpx
import pypdf
import pytest

from tests.support.clock import eventually
from tests.support.portal import Portal, pass_time
from tests.support.sandbox import Json, Sandbox

HOUR = 3600.0


async def open_document(portal: Portal, document: Json, token: dict[str, str]) -> httpx.Response:
    return await portal.get(f"/v1/documents/{document['id']}/content", token)


async def text_of(http: httpx.AsyncClient, url: str) -> str:
    pdf = (await http.get(url)).raise_for_status()
    assert pdf.headers["Content-Type"] == "application/pdf"
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf.content)).pages)


async def test_an_invoice_and_a_credit_memo_reach_their_owner(
    portal: Portal, sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    token = await sandbox.token("ada")
    order = await sandbox.order("ada")
    file_id = await sandbox.invoiced(order)
    await sandbox.refund(order)
    memo, invoice = sorted(await portal.documents(token, 2), key=lambda document: str(document["kind"]))
    assert (invoice["kind"], memo["kind"]) == ("invoice", "creditMemo")
    assert {invoice["orderId"], memo["orderId"]} == {order["id"]}
    file = await sandbox.get(f"/files/{file_id}")
    assert invoice["fileName"] == file["fileName"]
    for document in (invoice, memo):
        assert document["contentUrl"] == f"{portal.url}/v1/documents/{document['id']}/content"
        answer = await open_document(portal, document, token)
        assert (answer.status_code, answer.headers["Location"]) == (303, document["link"]["url"])
        assert order["id"] in await text_of(http, answer.headers["Location"])


async def test_an_event_leads_to_one_document_and_one_link_however_often_it_comes(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await sandbox.fault("duplicate", eventType="order.invoice.created", copies=4)
    file_id = await sandbox.invoiced(await sandbox.order("ada"))
    await portal.documents(await sandbox.token("ada"), 1)

    async def all_deliveries() -> bool:
        return len(await _deliveries(sandbox)) >= 5

    await eventually(all_deliveries)
    await portal.settle(database)
    assert await database.fetchval("SELECT count(*) FROM document") == 1
    links = await sandbox.get("/file-links", fileId=file_id)
    assert len(links["data"]) == 1


async def _deliveries(sandbox: Sandbox) -> list[Json]:
    answer = (await sandbox.client.get("/_sandbox/deliveries")).raise_for_status().json()
    found: list[Json] = answer if isinstance(answer, list) else answer["deliveries"]
    return [delivery for delivery in found if delivery["type"] == "order.invoice.created"]


async def test_a_document_opens_long_after_its_first_link_expired(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, http: httpx.AsyncClient
) -> None:
    token = await sandbox.token("ada")
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(token, 1)
    first = document["link"]["url"]
    await pass_time(database, sandbox, 100 * 24 * HOUR)
    assert (await http.get(first)).status_code == 410
    listed = (await portal.get("/v1/documents", token)).json()["data"][0]
    assert listed["link"] is None
    answer = await open_document(portal, document, token)
    assert answer.headers["Location"] != first
    assert "Desk lamp" in await text_of(http, answer.headers["Location"])


async def test_a_link_that_expires_soon_is_renewed_before_it_is_given_out(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    token = await sandbox.token("ada")
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(token, 1)
    await pass_time(database, sandbox, HOUR - 6 * 60)
    assert (await open_document(portal, document, token)).headers["Location"] == document["link"]["url"]
    await pass_time(database, sandbox, 2 * 60)
    answer = await open_document(portal, document, token)
    assert answer.headers["Location"] != document["link"]["url"]


@pytest.mark.proof
async def test_a_hundred_simultaneous_opens_of_an_expired_link_make_one_call(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    token = await sandbox.token("ada")
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(token, 1)
    await pass_time(database, sandbox, 2 * HOUR)
    before = await sandbox.count("POST /file-links")
    answers = await asyncio.gather(*(open_document(portal, document, token) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert await sandbox.count("POST /file-links") == before + 1


async def test_the_proxy_streams_the_pdf_itself(portal: Portal, sandbox: Sandbox) -> None:
    token = await sandbox.token("ada")
    file_id = await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(token, 1)
    answer = await portal.get(f"/v1/documents/{document['id']}/content", token, disposition="proxy")
    original = await sandbox.client.get(f"/files/{file_id}/content")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.content == original.content
    assert document["fileName"] in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "private, no-store"


async def test_the_proxy_answers_a_problem_if_digital_river_fails_before_the_first_byte(
    portal: Portal, sandbox: Sandbox
) -> None:
    token = await sandbox.token("ada")
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(token, 1)
    await sandbox.fault("hide", path="/files*")
    answer = await portal.get(f"/v1/documents/{document['id']}/content", token, disposition="proxy")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:portal:problem:not-found")


async def test_other_buyers_cannot_see_or_open_it_or_learn_that_it_exists(
    portal: Portal, sandbox: Sandbox
) -> None:
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    (document,) = await portal.documents(await sandbox.token("ada"), 1)
    mallory = await sandbox.token("mallory")
    assert (await portal.get("/v1/documents", mallory)).json()["data"] == []
    pairs = [
        (f"/v1/documents/{document['id']}", f"/v1/documents/{uuid4()}"),
        (f"/v1/documents/{document['id']}/content", f"/v1/documents/{uuid4()}/content"),
        (f"/v1/orders/{order['id']}/documents", "/v1/orders/999999999999/documents"),
    ]
    for theirs, nobodys in pairs:
        answers = [await portal.get(path, mallory) for path in (theirs, nobodys)]
        assert [answer.status_code for answer in answers] == [404, 404]
        bodies = [
            {k: v for k, v in answer.json().items() if k not in ("instance", "requestId")}
            for answer in answers
        ]
        assert bodies[0] == bodies[1]


async def test_a_guests_document_is_stored_and_no_buyer_can_list_it(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    order = await sandbox.order(None)
    await sandbox.invoiced(order)

    async def stored() -> int:
        count: int = await database.fetchval("SELECT count(*) FROM document WHERE customer_id IS NULL")
        return count

    await eventually(stored)
    token = await sandbox.token("ada")
    assert (await portal.get(f"/v1/orders/{order['id']}/documents", token)).status_code == 404
    assert (await portal.get("/v1/documents", token, orderId=order["id"])).json()["data"] == []


async def test_a_document_whose_event_was_lost_is_found_through_its_order(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await sandbox.fault("drop", eventType="order.invoice.created")
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    token = await sandbox.token("ada")
    answer = (await portal.get(f"/v1/orders/{order['id']}/documents", token)).json()
    assert [document["kind"] for document in answer["data"]] == ["invoice"]
    assert answer["availability"] == {"invoice": "ready", "creditMemo": "notIssued"}
    assert await database.fetchval("SELECT count(*) FROM webhook_event") == 0
    document = answer["data"][0]
    assert (await open_document(portal, document, token)).status_code == 303


async def test_a_missing_file_does_not_hide_other_documents(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await sandbox.fault("drop", eventType="order.*")
    order = await sandbox.order("ada")
    file_id = await sandbox.invoiced(order)
    await sandbox.fault("hide", path=f"/files/{file_id}")
    token = await sandbox.token("ada")
    path = f"/v1/orders/{order['id']}/documents"
    answer = await portal.get(path, token)
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert answer.json()["availability"]["invoice"] == "pending"
    await sandbox.client.delete("/_sandbox/faults")
    await pass_time(database, sandbox, 20)
    answer = await portal.get(path, token)
    assert [document["kind"] for document in answer.json()["data"]] == ["invoice"]


async def test_other_buyers_learn_nothing_from_failures_of_a_file(portal: Portal, sandbox: Sandbox) -> None:
    await sandbox.fault("drop", eventType="order.*")
    order = await sandbox.order("ada")
    file_id = await sandbox.invoiced(order)
    await sandbox.fault("garbage", path=f"/files/{file_id}")
    path = f"/v1/orders/{order['id']}/documents"
    assert (await portal.get(path, await sandbox.token("mallory"))).status_code == 404
    assert (await portal.get(path, await sandbox.token("ada"))).status_code == 502
    await sandbox.client.delete("/_sandbox/faults")
    assert len((await portal.get(path, await sandbox.token("ada"))).json()["data"]) == 1


async def test_documents_outlive_their_order_at_digital_river(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    token = await sandbox.token("ada")
    await portal.documents(token, 1)
    path = f"/v1/orders/{order['id']}/documents"
    await portal.get(path, token)
    await sandbox.fault("hide", path=f"/orders/{order['id']}")
    await pass_time(database, sandbox, 2 * 24 * HOUR)
    assert len((await portal.get(path, token)).json()["data"]) == 1


async def test_stored_documents_of_an_order_cost_no_further_call(portal: Portal, sandbox: Sandbox) -> None:
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    token = await sandbox.token("ada")
    await portal.documents(token, 1)
    await sandbox.client.delete("/_sandbox/requests")
    for _ in range(3):
        answer = await portal.get(f"/v1/orders/{order['id']}/documents", token)
        assert answer.json()["availability"]["invoice"] == "ready"
    assert (await sandbox.get("/_sandbox/requests"))["counts"] == {"GET /orders/{id}": 1}


@pytest.mark.proof
async def test_frequent_requests_do_not_become_calls(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    order = await sandbox.order("ada")
    token = await sandbox.token("ada")
    path = f"/v1/orders/{order['id']}/documents"
    answers = await asyncio.gather(*(portal.get(path, token) for _ in range(20)))
    assert {answer.json()["availability"]["invoice"] for answer in answers} == {"pending"}
    assert await sandbox.count("GET /orders/{id}") == 1
    await pass_time(database, sandbox, 20)
    await portal.get(path, token)
    assert await sandbox.count("GET /orders/{id}") == 2


@pytest.mark.parametrize(
    ("order", "availability"),
    [
        ({"items": [{"name": "Sample", "price": 0, "quantity": 1, "taxRate": 0}]}, "notIssued"),
        ({"sellingEntity": "DR_TAIWAN-ENTITY"}, "notIssued"),
        ({}, "pending"),
    ],
)
async def test_the_answer_says_whether_an_invoice_will_come(
    order: Json, availability: str, portal: Portal, sandbox: Sandbox
) -> None:
    placed = await sandbox.order("ada", **order)
    token = await sandbox.token("ada")
    answer = (await portal.get(f"/v1/orders/{placed['id']}/documents", token)).json()
    assert answer["availability"] == {"invoice": availability, "creditMemo": "notIssued"}


async def test_the_list_is_paged_and_filtered(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    await database.execute(
        """INSERT INTO document (file_id, order_id, customer_id, kind, file_name, created_at)
           SELECT 'f' || i, 'o' || (i % 5), 'ada', CASE i % 2 WHEN 0 THEN 'invoice' ELSE 'creditMemo' END,
                  i || '.pdf', timestamptz '2026-01-01' + (i / 3) * interval '1 s'
           FROM generate_series(0, 24) i"""
    )
    token = await sandbox.token("ada")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await portal.get("/v1/documents", token, limit=10, **cursor)).json()
        seen += [document["fileName"] for document in page["data"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert len(seen) == len(set(seen)) == 25
    assert seen[0] == "24.pdf"
    filtered = (await portal.get("/v1/documents", token, kind="invoice", orderId="o2")).json()["data"]
    assert {document["orderId"] for document in filtered} == {"o2"}
    assert {document["kind"] for document in filtered} == {"invoice"}
    assert len(filtered) == 3


async def test_a_document_has_an_etag_and_is_not_sent_twice(portal: Portal, sandbox: Sandbox) -> None:
    token = await sandbox.token("ada")
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(token, 1)
    path = f"/v1/documents/{document['id']}"
    first = await portal.get(path, token)
    assert first.json() == document
    again = await portal.get(path, {**token, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


_BAD: dict[str, tuple[str, dict[str, str], int, str]] = {
    "no id": ("/v1/documents/x", {}, 422, "/path/documentId"),
    "an id with NUL": ("/v1/documents/a%00b", {}, 422, "/path/documentId"),
    "strange order": ("/v1/orders/a%00b/documents", {}, 422, "/path/orderId"),
    "a path in an order": ("/v1/orders/..%2Ffiles/documents", {}, 404, ""),
    "tampered cursor": ("/v1/documents", {"cursor": "eyJhdCI6IjAifQ"}, 422, "/query/cursor"),
    "a cursor before all time": (
        "/v1/documents",
        # The first hour of year 1, east of Greenwich: in UTC there is no such time.
        {
            "cursor": "eyJhdCI6IjAwMDEtMDEtMDFUMDA6MDA6MDArMjM6NTkiLCJpZCI6IjRlMzg2MWQxLTZkNGYtNDdm"
            "Ny05NTJiLTdhMGYzODBhNTZiYSJ9"
        },
        422,
        "/query/cursor",
    ),
    "no base64": ("/v1/documents", {"cursor": "%%%"}, 422, "/query/cursor"),
    "limit 0": ("/v1/documents", {"limit": "0"}, 422, "/query/limit"),
    "limit 101": ("/v1/documents", {"limit": "101"}, 422, "/query/limit"),
    "limit of words": ("/v1/documents", {"limit": "many"}, 422, "/query/limit"),
    "unknown kind": ("/v1/documents", {"kind": "receipt"}, 422, "/query/kind"),
    "unknown name": ("/v1/documents", {"kinds": "invoice"}, 422, "/query/kinds"),
    "file id": ("/v1/documents", {"fileId": "f"}, 422, "/query/fileId"),
    "a limit twice": ("/v1/documents?limit=1&limit=2", {}, 422, "/query/limit"),
    "empty order": ("/v1/documents", {"orderId": ""}, 422, "/query/orderId"),
    "unknown disposition": (
        f"/v1/documents/{uuid4()}/content",
        {"disposition": "x"},
        422,
        "/query/disposition",
    ),
}


@pytest.mark.parametrize("case", sorted(_BAD))
async def test_an_invalid_request_is_answered_with_what_to_change(
    case: str, portal: Portal, sandbox: Sandbox
) -> None:
    path, params, status, pointer = _BAD[case]
    answer = await portal.get(path, await sandbox.token("ada"), **params)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["requestId"] == answer.headers["X-Request-ID"]
    assert [error["pointer"] for error in problem.get("errors", [])] == ([pointer] if pointer else [])
