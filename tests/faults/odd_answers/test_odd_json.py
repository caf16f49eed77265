"""Bad JSON from Digital River costs only the bad field: the list, the page and the event are still read."""

from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import asyncpg
import pytest
import structlog

from app.webhooks.sweep import sweep_now
from app.worker.handlers import HANDLERS
from tests.support.buyers import OrderBuyer
from tests.support.clock import eventually
from tests.support.events import invoice_event, signed, undelivered_events
from tests.support.portal import Portal
from tests.support.rewriting_proxy import Raw, RewritingProxy, rewriting
from tests.support.sandbox import Json, Sandbox

# Legal JSON that most readers refuse, and illegal JSON that some writers make; all as one value.
ODDITIES = {
    "half a character": r'"cut \ud83d"',
    "NUL": r'"a\u0000b"',
    "a raw control character": '"a\x01b"',
    "broken UTF-8": '"a\udcffb"',
    "no number": "NaN",
    "infinity": "-Infinity",
    "an endless number": "9" * 5000,
    "a number beyond all": "1e999",
    "depths": "[" * 50_000 + "]" * 50_000,
}


@pytest.mark.proof
async def test_a_sweep_finds_odd_events_and_those_beside_them(
    portal: Portal, sandbox: Sandbox, proxy: RewritingProxy
) -> None:
    expected = await undelivered_events(sandbox, len(ODDITIES) + 3)

    def spoil(page: Json) -> Json:
        for event, oddity in zip(page["data"], ODDITIES.values(), strict=False):
            event["data"]["object"]["note"] = Raw(oddity)
        return page

    proxy.rewrite = rewriting("/events", spoil)
    assert portal.app is not None
    finds = await sweep_now(portal.app.state.resources, HANDLERS, timedelta(days=1))
    assert (finds.seen, finds.found, finds.unreadable) == (len(expected), len(expected), 0)


@pytest.mark.proof
async def test_orders_and_profiles_with_an_odd_text_are_shown_and_what_is_shown_is_clean(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    order = await ada.order()
    await ada.get("/v1/customers/me")
    for oddity in map(Raw, ODDITIES.values()):
        proxy.rewrite = rewriting("/", partial(_spoiled, oddity))
        assert [one["id"] for one in await ada.listed()] == [order["id"]]
        name = (await ada.page(order))["items"][0]["name"]
        assert name is None or name.isprintable()
        profile = await ada.get("/v1/customers/me")
        assert profile.status_code == 200
        assert set(profile.json()["metadata"]) == {"note"}


def _spoiled(oddity: Raw, found: Json) -> Json:
    for one in found.get("data", [found]):
        one["metadata"] = {"note": oddity}
        for item in one.get("items", []):
            item["productDetails"]["name"] = oddity
    return found


async def test_an_answer_with_a_byte_order_mark_is_read(proxy: RewritingProxy, ada: OrderBuyer) -> None:
    order = await ada.order()
    proxy.rewrite = lambda path, body: b"\xef\xbb\xbf" + body
    assert [one["id"] for one in await ada.listed()] == [order["id"]]


async def test_an_answer_that_is_not_json_is_still_a_bad_gateway(
    proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    proxy.rewrite = lambda path, body: body[:-1]
    with structlog.testing.capture_logs() as logs:
        assert (await ada.get("/v1/orders")).status_code == 502
    (call,) = (line for line in logs if line["event"] == "digital_river.call")
    assert call["why"] == "the answer is no Listing[Order]: it is no JSON"


@pytest.mark.proof
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_a_delivery_is_kept_as_it_was_signed_also_with_a_byte_order_mark(
    mark: bytes, portal: Portal, own_database: asyncpg.Connection
) -> None:
    body = mark + b'{"id": "e1", "type": "order.invoice.created", "x": "cut \\ud83d"}'
    answer = await portal.client.post("/webhooks/digital-river", content=body, headers=signed(body))
    assert answer.status_code == 202
    assert (await own_database.fetchval("SELECT body FROM webhook_event")).encode() == body


@pytest.mark.proof
async def test_a_file_name_with_nul_and_line_ends_becomes_a_document_that_opens(
    portal: Portal, sandbox: Sandbox, proxy: RewritingProxy, ada: OrderBuyer
) -> None:
    portal.trust(await sandbox.register_webhook(portal.url))
    hostile = 'in\x00vo\r\nX-Evil: 1\u202efdp\ud83d.exe"/..\\' + "x" * 100_000

    def spoil(file: Json) -> Json:
        return {**file, "fileName": hostile} if "fileName" in file else file

    proxy.rewrite = rewriting("/files/", spoil)
    order = await ada.completed()
    (document,) = (await ada.get("/v1/documents", orderId=order["id"])).json()["data"]
    assert document["fileName"].startswith("in\ufffdvo\ufffd\ufffdX-Evil: 1\ufffdfdp\ufffd.exe")
    assert len(document["fileName"]) == 255
    proxy.rewrite = lambda path, body: body
    proxied = await ada.get(f"/v1/documents/{document['id']}/content", disposition="proxy")
    assert proxied.status_code == 200
    assert "x-evil" not in proxied.headers
    saved_as = proxied.headers["content-disposition"]
    assert not {"/", "\\", "%2F", "%5C"} & {saved_as[i : i + n] for i in range(len(saved_as)) for n in (1, 3)}


USELESS = {
    "NUL": "a\x00b",
    "half a character": "a\ud83d",
    "a space": "a b",
    "a slash": "a/b",
    "a line end": "a\n",
    "too long": "a" * 201,
    "an object": {"id": "a"},
    "a list": ["a"],
}


async def test_events_with_useless_identifiers_are_buried_at_once_and_nothing_of_them_is_stored(
    portal: Portal, own_database: asyncpg.Connection
) -> None:
    cases = list(product(("fileId", "orderId", "customerId"), USELESS.values()))
    for field, useless in cases:
        assert (await portal.deliver(invoice_event(**{field: useless}))).status_code == 202

    async def buried() -> Any:
        rows = await own_database.fetch("SELECT reason FROM webhook_event WHERE state = 'buried'")
        return rows if len(rows) == len(cases) else None

    reasons = sorted(row["reason"].rpartition(" ")[2] for row in await eventually(buried))
    assert reasons == sorted(field for field, _ in cases)
    assert await own_database.fetchval("SELECT count(*) FROM document") == 0


@pytest.mark.proof
@pytest.mark.parametrize(
    "changed",
    [{"fileId": "null"}, {"fileId": '""'}, {"orderId": "number"}, {"customerId": '""'}],
    ids=["no file id beside id", "empty file id", "order id as number", "empty customer id"],
)
async def test_intake_reads_an_event_as_every_other_reader_would(
    changed: dict[str, str],
    portal: Portal,
    sandbox: Sandbox,
    own_database: asyncpg.Connection,
    ada: OrderBuyer,
) -> None:
    order = await ada.order()
    file_id = await sandbox.invoiced(order)
    event = invoice_event(id=file_id, fileId=file_id, orderId=order["id"], customerId="ada")
    subject = event["data"]["object"]
    values = {"null": None, '""': "", "number": int(order["id"])}
    subject |= {name: values[value] for name, value in changed.items()}
    assert (await portal.deliver(event)).status_code == 202

    async def state() -> Any:
        return await own_database.fetchrow("SELECT state, reason FROM webhook_event WHERE state <> 'pending'")

    assert tuple(await eventually(state)) == ("done", None)
    row = await own_database.fetchrow("SELECT file_id, order_id, customer_id FROM document")
    assert tuple(row) == (file_id, order["id"], "ada")
