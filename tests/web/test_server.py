"""Malformed, slow and oversized input on a socket of `portal api`, and how the server ends it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.web import server
from tests.support.clock import eventually
from tests.support.events import signed
from tests.support.portal import Portal, settings_for
from tests.support.processes import running_api
from tests.support.raw_http import (
    BODY,
    DRAIN,
    HEAD,
    WEBHOOK,
    endless,
    get,
    post,
    raw_connection,
    send_and_receive,
    shorten_timeouts,
    statuses,
)
from tests.support.sandbox import Sandbox

PROFILE = "/v1/customers/me"
LIVE = "/health/live"
EVENT = '{"id":"e1","type":"order.updated"}'
# A noisy machine may be late; a client that is never cut off would be later.
LATE = 3.0


@pytest.fixture(scope="module")
async def api(database_url: str, sandbox_process: Sandbox) -> AsyncIterator[Portal]:
    """A process of its own, so that harm to it affects no other test."""
    async with running_api(settings_for(database_url, sandbox_process.url), first=shorten_timeouts) as portal:
        yield portal


@pytest.fixture(autouse=True)
async def _goes_on(api: Portal, database: asyncpg.Connection) -> AsyncIterator[None]:
    yield
    assert (await api.client.get(LIVE)).status_code == 200
    signed_one = "convert_to($1, 'UTF8')"
    kept = await database.fetchval(
        f"SELECT count(*) FROM webhook_event WHERE body_digest IS DISTINCT FROM sha256({signed_one})", EVENT
    )
    assert kept == 0, "something that nobody signed was kept"


async def ended(api: Portal, reason: str) -> float:
    """How many connections were ended for this reason."""
    start = f'portal_connections_ended_total{{reason="{reason}"}} '
    lines = (await api.client.get("/metrics")).text.splitlines()
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


def signature() -> list[str]:
    """The header fields of a correctly signed delivery of the event."""
    return [f"{name}: {value}" for name, value in signed(EVENT.encode()).items()]


def one_problem(received: bytes, status: int) -> None:
    """The only answer is this problem, and it says that the connection ends."""
    assert statuses(received) == [status], received[:2000]
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert (problem["status"], problem["requestId"]) == (status, _field(head, b"x-request-id"))
    assert problem["type"].startswith("urn:portal:problem:")


def _field(head: bytes, name: bytes) -> str:
    (line,) = (line for line in head.split(b"\r\n") if line.startswith(name + b": "))
    return line.partition(b": ")[2].decode()


ENDLESS_HEADS = {
    "a request line": (b"GET /", b"x" * 1000),
    "a query": (b"GET /v1/orders?", b"x" * 1000),
    "one field's name": (b"GET / HTTP/1.1\r\n", b"x" * 1000),
    "one field's value": (b"GET / HTTP/1.1\r\nA: ", b"x" * 1000),
    "many fields": (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 100),
    "one large piece": (b"GET / HTTP/1.1\r\nA: ", b"x" * 1_000_000),
    "empty lines before it": (b"", b"\r\n" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS_HEADS)
async def test_an_endless_head_is_refused_once_it_is_too_large(kind: str, api: Portal) -> None:
    first, more = ENDLESS_HEADS[kind]
    async with raw_connection(api) as connection:
        one_problem(await connection.flood(endless(first, more)), 431)


@pytest.mark.parametrize("count", [server.MAX_FIELDS - 1, server.MAX_FIELDS, 10_000])
async def test_as_many_fields_as_allowed_are_read_and_one_more_is_not(count: int, api: Portal) -> None:
    received = await send_and_receive(
        api, get(LIVE, *(f"X-{n}: 1" for n in range(count - 1)), "Connection: close")
    )
    # Host and Connection are fields too.
    is_too_many = count + 1 > server.MAX_FIELDS
    assert statuses(received) == [431 if is_too_many else 200]


@pytest.mark.parametrize(("size", "status"), [(15_000, 200), (17_000, 431), (200_000, 431)])
@pytest.mark.parametrize("in_line", [True, False])
async def test_a_head_is_measured_with_its_request_line(
    size: int, status: int, in_line: bool, api: Portal
) -> None:
    padding = "x" * size
    path, field = (f"{LIVE}?{padding}", "A: b") if in_line else (LIVE, f"A: {padding}")
    assert statuses(await send_and_receive(api, get(path, field, "Connection: close"))) == [status]


AFTER_THE_HEAD = {
    "trailer fields": ("1\r\nx\r\n0\r\n", "A: b\r\n" * 100),
    "one trailer field": ("1\r\nx\r\n0\r\nA: ", "x" * 1000),
    "a chunk's extensions": ("1;", "a=b;" * 1000),
    "a chunk's length": ("0", "0" * 1000),
}


@pytest.mark.parametrize("kind", AFTER_THE_HEAD)
async def test_what_surrounds_chunks_has_a_limit_too(kind: str, api: Portal) -> None:
    first, more = AFTER_THE_HEAD[kind]
    head = post(WEBHOOK, "Transfer-Encoding: chunked", body=first)
    async with raw_connection(api) as connection:
        received = await connection.flood(endless(head, more.encode()))
    assert statuses(received) in ([431], [400])


async def test_trailer_fields_do_not_become_header_fields(api: Portal, database: asyncpg.Connection) -> None:
    chunked = f"{len(EVENT):x}\r\n{EVENT}\r\n0\r\n"
    trailer = "\r\n".join(signature())
    head = ("Transfer-Encoding: chunked", "Connection: close")
    assert statuses(
        await send_and_receive(api, post(WEBHOOK, *head, body=f"{chunked}{trailer}\r\n\r\n"))
    ) == [401]
    assert statuses(
        await send_and_receive(api, post(WEBHOOK, *signature(), *head, body=f"{chunked}X: y\r\n\r\n"))
    ) == [202]


@pytest.mark.proof
@pytest.mark.parametrize(("path", "limit"), [(WEBHOOK, 256 * 1024), (PROFILE, 1024 * 1024)])
async def test_chunks_without_end_are_refused_at_the_limit(path: str, limit: int, api: Portal) -> None:
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    head = post(path, "Transfer-Encoding: chunked", "Content-Type: application/json")
    async with raw_connection(api) as connection:
        await connection.send(head)
        answering = asyncio.create_task(connection.answer())
        # A little at a time, so that what was sent and what was read do not differ by the sockets' buffers.
        while not answering.done() and connection.sent < 2 * limit:
            await connection.send(chunk)
            await asyncio.sleep(0.001)
        assert (statuses(await answering), connection.sent < 2 * limit) == ([413], True)
        assert await connection.flood(endless(b"", chunk)) == b"", "it goes on reading what it has refused"


@pytest.mark.parametrize("path", [WEBHOOK, PROFILE])
async def test_a_body_that_announces_too_much_is_refused_unread(path: str, api: Portal) -> None:
    async with raw_connection(api) as connection:
        await connection.send(post(path, "Content-Length: 99999999"))
        assert statuses(await connection.answer()) == [413]


AMBIGUOUS = {
    "two kinds of length": ["Content-Length: 34", "Transfer-Encoding: chunked"],
    "two kinds of length, turned round": ["Transfer-Encoding: chunked", "Content-Length: 34"],
    "two lengths": ["Content-Length: 34", "Content-Length: 33"],
    "a list of lengths": ["Content-Length: 34, 34"],
    "a signed length": ["Content-Length: +34"],
    "a negative length": ["Content-Length: -1"],
    "a length in hexadecimal": ["Content-Length: 0x22"],
    "an endless length": ["Content-Length: " + "9" * 30],
    "chunked twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "chunked, then not": ["Transfer-Encoding: chunked, identity"],
    "an unknown coding": ["Transfer-Encoding: xchunked"],
    "a coding in a folded line": ["Transfer-Encoding:\r\n chunked"],
    "a space before the colon": ["Content-Length : 34"],
    "a line without a colon": ["Content-Length"],
    "a bare line feed": ["A: b\nContent-Length: 34"],
    "a bare carriage return": ["A: b\rContent-Length: 34"],
    "a NUL": ["A: \0"],
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
async def test_a_body_whose_length_could_be_read_in_two_ways_is_not_read(kind: str, api: Portal) -> None:
    smuggled = get("/metrics").decode()
    received = await send_and_receive(
        api, post(WEBHOOK, *signature(), *AMBIGUOUS[kind], body=EVENT + smuggled)
    )
    assert len(statuses(received)) == 1, "the rest was taken for a request"
    assert statuses(received)[0] in {400, 408, 413}


async def test_more_than_was_announced_is_not_taken_for_a_part_of_it(api: Portal) -> None:
    request = post(WEBHOOK, *signature(), f"Content-Length: {len(EVENT)}", body=EVENT + "}}}\r\n\r\n")
    received = await send_and_receive(api, request)
    assert statuses(received) == [202], "the first is answered; the rest is no request and ends it"


async def test_less_than_was_announced_is_waited_for_until_the_deadline(api: Portal) -> None:
    began = time.monotonic()
    one_problem(
        await send_and_receive(api, post(WEBHOOK, *signature(), "Content-Length: 99", body=EVENT)), 408
    )
    assert time.monotonic() - began < 1.0 + LATE


LYING_CHUNKS = [
    "5\r\nhello, world\r\n0\r\n\r\n",
    "F" * 17 + "\r\n",
    "-1\r\n",
    "zz\r\n",
    "5 \n",
    "5\r\nhelloX",
]


@pytest.mark.parametrize("chunks", LYING_CHUNKS)
async def test_a_chunk_that_is_not_as_long_as_it_says_is_refused(chunks: str, api: Portal) -> None:
    one_problem(
        await send_and_receive(api, post(WEBHOOK, *signature(), "Transfer-Encoding: chunked", body=chunks)),
        400,
    )


@pytest.mark.proof
@pytest.mark.parametrize(("path", "seconds"), [(WEBHOOK, 1.0), (PROFILE, BODY)])
async def test_a_body_byte_by_byte_is_cut_off_in_time(path: str, seconds: float, api: Portal) -> None:
    began = time.monotonic()
    async with raw_connection(api) as connection:
        head = post(path, "Content-Length: 1000", "Content-Type: application/json")
        one_problem(await connection.flood(endless(head, b"x", seconds=0.05)), 408)
    assert seconds <= time.monotonic() - began < seconds + LATE


@pytest.mark.proof
async def test_a_head_byte_by_byte_is_cut_off_in_time(api: Portal) -> None:
    began = time.monotonic()
    async with raw_connection(api) as connection:
        one_problem(await connection.flood(endless(b"GET / HTTP/1.1\r\nA: ", b"x", seconds=0.05)), 408)
    assert HEAD <= time.monotonic() - began < HEAD + DRAIN + LATE


async def test_empty_lines_do_not_hold_a_connection(api: Portal) -> None:
    async with raw_connection(api) as connection:
        assert await connection.flood(endless(b"", b"\r\n", seconds=0.1)) == b""


async def test_a_silent_connection_is_closed(api: Portal) -> None:
    began = time.monotonic()
    assert await send_and_receive(api, b"") == b""
    assert HEAD <= time.monotonic() - began < HEAD + LATE


@pytest.mark.proof
async def test_a_kept_connection_has_the_same_time_for_each_head(api: Portal) -> None:
    async with raw_connection(api) as connection:
        for _ in range(3):
            await connection.send(get(LIVE))
            assert statuses(await connection.answer()) == [200]
        # The connection may be idle for longer than a head may take.
        await asyncio.sleep(HEAD + 0.2)
        await connection.send(get(LIVE))
        assert statuses(await connection.answer()) == [200]
        one_problem(await connection.flood(endless(b"GET /", b"x", seconds=0.05)), 408)


async def test_a_body_refused_early_may_still_be_sent_and_followed_by_a_request(api: Portal) -> None:
    async with raw_connection(api) as connection:
        await connection.send(post(WEBHOOK, "Content-Length: 300000"))
        assert statuses(await connection.answer()) == [413]
        await connection.send(b"x" * 300_000 + get(LIVE))
        assert statuses(await connection.answer()) == [200]


async def test_requests_in_a_row_are_answered_in_order(api: Portal) -> None:
    requests = (
        get(LIVE) + post(WEBHOOK, "Content-Length: 2", body="{}") + get("/nowhere", "Connection: close")
    )
    assert statuses(await send_and_receive(api, requests)) == [200, 401, 404]


async def test_too_many_requests_in_a_row_are_not_all_kept_in_memory(api: Portal) -> None:
    answered = statuses(await send_and_receive(api, get(LIVE) * 5000))
    assert set(answered) == {200}
    assert len(answered) <= server.MAX_PIPELINED + 1


async def test_nonsense_after_a_request_does_not_spoil_its_answer(api: Portal) -> None:
    assert statuses(await send_and_receive(api, get(LIVE) + b"\0\0\0\r\n\r\n")) == [200]


NONSENSE = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\n\r\n",
    "another protocol's address": b"CONNECT example.com:443 HTTP/1.1\r\nHost: e\r\n\r\n",
    "a path that is no text": b"GET /\xff\xfe HTTP/1.1\r\nHost: e\r\n\r\n",
    "a field's name with a space": b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
}


@pytest.mark.parametrize("kind", NONSENSE)
async def test_text_that_is_no_request_is_a_bad_request(kind: str, api: Portal) -> None:
    one_problem(await send_and_receive(api, NONSENSE[kind]), 400)


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_no_other_protocol_is_spoken(protocol: str, api: Portal) -> None:
    upgrade = (
        "Connection: Upgrade",
        f"Upgrade: {protocol}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: eA==",
    )
    received = await send_and_receive(api, get(LIVE, *upgrade) + get("/metrics"))
    assert (statuses(received), b"connection: close" in received) == ([200], True)


async def test_a_client_that_closes_its_half_is_disconnected(api: Portal) -> None:
    async with raw_connection(api) as connection:
        await connection.send(post(WEBHOOK, *signature(), "Content-Length: 99", body=EVENT))
        connection.writer.write_eof()
        began = time.monotonic()
        await connection.everything()
        assert time.monotonic() - began < 1.0, "it waits for the deadline of a body that cannot come"


@pytest.mark.proof
async def test_an_unread_answer_is_dropped_in_time(api: Portal) -> None:
    before = await ended(api, "unread")
    async with raw_connection(api) as connection:

        async def is_dropped() -> bool:
            # In the end more than the buffers of both sockets hold; this side takes a part and no more.
            await connection.send(get("/openapi.json") * 4)
            return await ended(api, "unread") > before

        await eventually(is_dropped)
