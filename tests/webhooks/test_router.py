"""The webhook endpoint over HTTP: what it stores, what it refuses, and what it answers and logs."""

import asyncio
import gzip
import hashlib
import json
from typing import Any

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from tests.support.clock import eventually
from tests.support.events import SECRET, invoice_event, signed
from tests.support.portal import Portal
from tests.support.sandbox import Json, Sandbox

PATH = "/webhooks/digital-river"


async def kept(database: asyncpg.Connection) -> int:
    count: int = await database.fetchval("SELECT count(*) FROM webhook_event")
    return count


async def post(portal: Portal, body: bytes, **headers: str) -> httpx.Response:
    return await portal.client.post(PATH, content=body, headers={**signed(body), **headers})


async def test_an_authentic_event_is_kept_as_it_was_signed(
    portal: Portal, database: asyncpg.Connection
) -> None:
    subject = b'{"orderId": "o1", "x": "\\u0000"}'
    body = b'{ "type":"order.invoice.created","id":"e1", "data": {"object": ' + subject + b"} }"
    answer = await post(portal, body)
    assert (answer.status_code, answer.json()) == (202, {"id": "e1", "status": "accepted"})
    row = await database.fetchrow("SELECT * FROM webhook_event")
    assert row["body"].encode() == body
    assert (row["order_id"], row["origin"], row["body_digest"]) == ("o1", "webhook", None)


async def test_an_event_of_an_unhandled_type_is_stored_without_personal_data(
    portal: Portal, database: asyncpg.Connection
) -> None:
    event = {
        "id": "e1",
        "type": "customer.updated",
        "createdTime": "2026-01-31T09:30:00Z",
        "data": {"object": {"id": "ada", "orderId": "o1", "email": "ada@example.com"}},
    }
    body = json.dumps(event).encode()
    answer = await post(portal, body)
    assert (answer.status_code, answer.json()) == (202, {"id": "e1", "status": "accepted"})
    row = await database.fetchrow("SELECT * FROM webhook_event")
    assert (row["state"], row["type"], row["body"]) == ("ignored", "customer.updated", None)
    assert row["happened_at"].isoformat() == "2026-01-31T09:30:00+00:00"
    assert row["body_digest"] == hashlib.sha256(body).digest()
    assert not [value for value in row.values() if "ada" in str(value) or value == "o1"]


async def test_the_second_delivery_of_the_same_event_changes_nothing(
    portal: Portal, database: asyncpg.Connection
) -> None:
    event = {"id": "e1", "type": "order.updated"}
    await portal.deliver(event)
    before = await database.fetchrow("SELECT * FROM webhook_event")
    answer = await portal.deliver({**event, "data": "changed"})
    assert (answer.status_code, answer.json()) == (202, {"id": "e1", "status": "duplicate"})
    assert await database.fetchrow("SELECT * FROM webhook_event") == before


@pytest.mark.proof
async def test_one_of_a_hundred_simultaneous_deliveries_is_accepted(
    portal: Portal, database: asyncpg.Connection
) -> None:
    event = {"id": "e1", "type": "order.updated"}
    answers = await asyncio.gather(*(portal.deliver(event) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert sorted(answer.json()["status"] for answer in answers) == ["accepted"] + ["duplicate"] * 99
    assert await kept(database) == 1


@pytest.mark.parametrize("secret_index", [0, 1])
async def test_every_live_secret_is_accepted_during_rotation(portal: Portal, secret_index: int) -> None:
    secrets = ["whs_new_secret", "whs_old_secret"]
    portal.trust(secrets)
    answer = await portal.deliver({"id": "e1", "type": "t"}, secret=secrets[secret_index])
    assert answer.status_code == 202


async def test_a_retired_secret_is_refused(portal: Portal, database: asyncpg.Connection) -> None:
    portal.trust(["whs_old_secret"])
    portal.trust(["whs_new_secret"])
    answer = await portal.deliver({"id": "e1", "type": "t"}, secret="whs_old_secret")
    assert (answer.status_code, await kept(database)) == (401, 0)


async def test_two_of_many_live_secrets_are_enough(portal: Portal, sandbox: Sandbox) -> None:
    (hook,) = (await sandbox.client.get("/webhooks")).json()
    for _ in range(30):
        rotated = await sandbox.post(f"/_sandbox/webhooks/{hook['id']}/secrets/rotate", {"keepOld": True})
    portal.trust(rotated["secrets"][:2])
    await sandbox.invoiced(await sandbox.order())

    async def deliveries() -> list[Json]:
        return [*(await sandbox.client.get("/_sandbox/deliveries")).json()]

    assert len(rotated["secrets"]) == 31
    assert {one["status"] for one in await eventually(deliveries)} == {202}


async def test_all_signatures_that_fit_into_a_head_are_checked(portal: Portal) -> None:
    stamp, ours = signed(_EVENT)["DigitalRiver-Signature"].split(", ")
    foreign = signed(_EVENT, secret="whs_ended_long_ago")["DigitalRiver-Signature"].partition(", ")[2]
    header = ", ".join([stamp, *[foreign] * 340, ours])
    answer = await portal.client.post(PATH, content=_EVENT, headers={"DigitalRiver-Signature": header})
    assert answer.status_code == 202


_EVENT = b'{"id":"e1","type":"order.updated"}'
_FORGERIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "no signature": (_EVENT, {}),
    "empty signature": (_EVENT, {"DigitalRiver-Signature": ""}),
    "garbage": (_EVENT, {"DigitalRiver-Signature": "garbage"}),
    "another secret": (_EVENT, signed(_EVENT, secret="whs_somebody_elses")),
    "tampered body": (_EVENT + b" ", signed(_EVENT)),
    "stale": (_EVENT, signed(_EVENT, timestamp="1619575453591")),
    "from the future": (_EVENT, signed(_EVENT, timestamp="4102444800000")),
    "forged and not JSON": (b"\xff\x00", signed(_EVENT)),
}


@pytest.mark.parametrize("case", sorted(_FORGERIES))
async def test_a_forgery_is_refused_without_detail_and_leaves_no_row(
    case: str, portal: Portal, database: asyncpg.Connection
) -> None:
    body, headers = _FORGERIES[case]
    answer = await portal.client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "instance", "requestId"}
    assert await kept(database) == 0


_NO_EVENTS: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"<event/>", ""),
    "nothing": (b"", ""),
    "not UTF-8": (b'{"id":"\xff","type":"t"}', ""),
    "infinite numbers": (b'{"id":"e","type":"t","x":NaN}', ""),
    "nested too deep": (b"[" * 10_000 + b"]" * 10_000, ""),
    "a list": (b"[]", ""),
    "no id": (b'{"type":"t"}', "/id"),
    "id is a number": (b'{"id":7,"type":"t"}', "/id"),
    "id is empty": (b'{"id":"","type":"t"}', "/id"),
    "id is endless": (json.dumps({"id": "x" * 201, "type": "t"}).encode(), "/id"),
    "id holds NUL": (b'{"id":"a\\u0000b","type":"t"}', "/id"),
    "id holds half a character": (b'{"id":"\\ud800","type":"t"}', "/id"),
    "no type": (b'{"id":"e"}', "/type"),
    "type is null": (b'{"id":"e","type":null}', "/type"),
}


@pytest.mark.parametrize("case", sorted(_NO_EVENTS))
async def test_an_authentic_body_that_is_no_event_is_answered_with_the_reason(
    case: str, portal: Portal, database: asyncpg.Connection
) -> None:
    body, pointer = _NO_EVENTS[case]
    answer = await post(portal, body)
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["type"] == "urn:portal:problem:malformed"
    # A half character is refused by the JSON reader already, so it is the body that is wrong.
    assert problem["errors"][0]["pointer"] in {pointer, ""}
    assert await kept(database) == 0


@pytest.mark.parametrize("oddity", [b"9" * 5000, b'"\\ud800"', b'"\\u0000"', b"1e999"])
async def test_legal_but_odd_json_is_kept_and_what_is_unusable_in_it_buried(
    oddity: bytes, portal: Portal, database: asyncpg.Connection
) -> None:
    event = invoice_event(orderId=None)
    body = json.dumps(event).encode()[:-1] + b', "x": ' + oddity + b"}"
    assert (await post(portal, body)).json() == {"id": event["id"], "status": "accepted"}

    async def buried() -> Any:
        return await database.fetchval("SELECT reason FROM webhook_event WHERE state = 'buried'")

    assert "orderId" in await eventually(buried)


async def test_a_body_over_the_limit_is_refused_whether_announced_or_not(
    portal: Portal, database: asyncpg.Connection
) -> None:
    body = json.dumps({"id": "e1", "type": "t", "x": "x" * 256 * 1024}).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    announced = await post(portal, body)
    chunked = await portal.client.post(PATH, content=chunks(), headers=signed(body))
    assert (announced.status_code, chunked.status_code) == (413, 413)
    assert await kept(database) == 0


async def test_a_body_just_below_the_limit_is_kept(portal: Portal, database: asyncpg.Connection) -> None:
    body = json.dumps({"id": "e1", "type": "t", "x": ""}).encode()
    body = body.replace(b'"x": ""', b'"x": "' + b"x" * (256 * 1024 - len(body)) + b'"')
    assert len(body) == 256 * 1024
    assert (await post(portal, body)).status_code == 202
    assert await kept(database) == 1


async def test_a_compressed_body_is_refused_unread(portal: Portal, database: asyncpg.Connection) -> None:
    body = gzip.compress(_EVENT)
    answer = await post(portal, body, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, await kept(database)) == (415, 0)


async def test_a_half_sent_body_is_refused_and_leaves_no_row(
    portal: Portal, database: asyncpg.Connection
) -> None:
    port = int(portal.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    signature = signed(_EVENT)["DigitalRiver-Signature"]
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: portal\r\nDigitalRiver-Signature: {signature}\r\n"
        f"Content-Length: {len(_EVENT)}\r\n\r\n"
    )
    writer.write(head.encode() + _EVENT[:10])
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(15), timeout=10)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert await kept(database) == 0


async def test_a_sender_that_goes_away_leaves_no_row(portal: Portal, database: asyncpg.Connection) -> None:
    port = int(portal.url.rsplit(":", 1)[1])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: p\r\nContent-Length: 99\r\n\r\n".encode() + _EVENT)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    # The next delivery uses the same connection, after the broken one.
    assert (await portal.deliver({"id": "e2", "type": "t"})).status_code == 202
    assert await kept(database) == 1


_UNUSABLE: dict[str, tuple[Json, str]] = {
    "no order": (invoice_event(orderId=None), "orderId"),
    "no file": (invoice_event(id=None, fileId=None), "fileId"),
    "order is an object": (invoice_event(orderId={"id": 7}), "orderId"),
    "file with line break": (invoice_event(fileId="a\nb"), "fileId"),
    "no object": ({**invoice_event(), "data": {}}, "data.object"),
    "data is a text": ({**invoice_event(), "data": "x"}, "data.object"),
    "other mode": ({**invoice_event(), "liveMode": True}, "liveMode"),
    "no mode": ({k: v for k, v in invoice_event().items() if k != "liveMode"}, "liveMode"),
}


@pytest.mark.parametrize("case", sorted(_UNUSABLE))
async def test_an_authentic_but_unusable_event_is_acknowledged_and_buried_with_the_reason(
    case: str, portal: Portal, database: asyncpg.Connection
) -> None:
    event, reason = _UNUSABLE[case]
    answer = await portal.deliver({**event, "id": f"e-{case}"})
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")

    async def buried() -> Any:
        return await database.fetchrow("SELECT * FROM webhook_event WHERE state = 'buried'")

    row = await eventually(buried)
    assert reason in row["reason"]
    assert await database.fetchval("SELECT count(*) FROM document") == 0


async def test_the_endpoint_names_its_methods(portal: Portal) -> None:
    answer = await portal.client.get(PATH)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


async def test_its_answers_have_the_headers_of_all_others(portal: Portal) -> None:
    body = json.dumps({"id": "e1", "type": "t"}).encode()
    others = (await portal.client.get("/health/live")).headers
    common = set(others) - {"content-type", "content-length", "x-request-id"}
    assert {"cache-control", "content-security-policy", "x-content-type-options"} <= common
    accepted, refused = await post(portal, body), await portal.client.post(PATH, content=body)
    assert (accepted.status_code, refused.status_code) == (202, 401)
    for answer in (accepted, refused):
        assert {name: answer.headers[name] for name in common} == {name: others[name] for name in common}
        assert answer.headers["X-Request-ID"]
    assert refused.json()["requestId"] == refused.headers["X-Request-ID"]


async def test_each_delivery_is_one_log_line_that_names_the_event(portal: Portal) -> None:
    body = json.dumps({"id": "e1", "type": "order.updated"}).encode()
    with capture_logs() as lines:
        await post(portal, body, **{"X-Request-ID": "one"})
        await portal.client.post(PATH, content=body, headers={"X-Request-ID": "two"})
    accepted, refused, answered = (
        {name: line[name] for name in line.keys() - {"ms", "log_level"}}
        for line in lines
        if line.get("request_id") in {"one", "two"}
    )
    request = {"event": "request", "method": "POST", "route": PATH}
    event = {"event_id": "e1", "event_type": "order.updated", "is_new": True, "signer": 0}
    assert accepted == {**request, **event, "request_id": "one", "status": 202}
    assert refused == {"event": "webhook.refused", "request_id": "two", "verdict": "missing"}
    assert answered == {**request, "request_id": "two", "status": 401}


async def test_nothing_secret_is_logged(portal: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"id": "e1", "type": "t", "email": "ada@example.com"}).encode()
    await post(portal, body)
    await portal.client.post(PATH, content=body, headers={"DigitalRiver-Signature": "1, c2VjcmV0"})
    output = "".join(capsys.readouterr())
    assert "e1" in output
    for secret in (
        SECRET,
        "ada@example.com",
        signed(body)["DigitalRiver-Signature"].split(", ")[1],
        "c2VjcmV0",
    ):
        assert secret not in output
