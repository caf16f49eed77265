"""The short way of a request gives what ASGI's way gives, and leaves to it what it cannot do."""

import asyncio
import gc
import json
import weakref

import pytest
from starlette.requests import Request
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.web.problems import Malformed, TooLarge, UnsupportedMedia
from app.web.request_body import read_body
from app.web.short_exchange import EXCHANGE, ShortExchange
from tests.support.events import signed
from tests.support.portal import Portal
from tests.support.raw_http import WEBHOOK, post, raw_connection, send_and_receive, statuses

CLOSE = "Connection: close"


def delivery(event_id: str, *fields: str) -> bytes:
    body = json.dumps({"id": event_id, "type": "order.updated"})
    signature = [f"{name}: {value}" for name, value in signed(body.encode()).items()]
    return post(WEBHOOK, *signature, f"Content-Length: {len(body)}", *fields, body=body)


def lines(answer: bytes) -> list[bytes]:
    """The head in its order, and the body; without the date, which changes."""
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"date: ")]


async def test_the_answer_is_the_one_that_asgi_gives(portal: Portal) -> None:
    async with raw_connection(portal) as connection:
        await connection.send(delivery("e1", "X-Request-ID: r"))
        short = lines(await connection.answer())
    asgi = lines(await send_and_receive(portal, delivery("e2", "X-Request-ID: r", CLOSE)))
    assert asgi.pop(asgi.index(b"connection: close"))
    assert short[0] == b"HTTP/1.1 202 Accepted"
    assert short[:-1] == asgi[:-1]
    assert (json.loads(short[-1])["id"], json.loads(asgi[-1])["id"]) == ("e1", "e2")


async def test_deliveries_in_one_packet_are_answered_in_their_order(portal: Portal) -> None:
    received = await send_and_receive(portal, delivery("e1") + delivery("e2") + delivery("e3", CLOSE))
    assert statuses(received) == [202, 202, 202]
    positions = [received.index(f'"{name}"'.encode()) for name in ("e1", "e2", "e3")]
    assert positions == sorted(positions)


async def test_a_client_that_asks_to_continue_is_told_so_before_its_answer(portal: Portal) -> None:
    async with raw_connection(portal) as connection:
        await connection.send(delivery("e1", "Expect: 100-continue"))
        interim = await connection.reader.readuntil(b"\r\n\r\n")
        answer = await connection.answer()
    assert (interim, statuses(answer)) == (b"HTTP/1.1 100 Continue\r\n\r\n", [202])


async def test_a_body_in_two_packets_is_one_body(portal: Portal) -> None:
    whole = delivery("e1")
    async with raw_connection(portal) as connection:
        await connection.send(whole[:-10])
        # It is read before the rest comes.
        assert (await portal.client.get("/health/live")).status_code == 200
        await connection.send(whole[-10:])
        assert statuses(await connection.answer()) == [202]


class _Transport(asyncio.Transport):
    def write(self, data: bytes | bytearray | memoryview) -> None:
        raise AssertionError("nothing is answered here")

    def is_closing(self) -> bool:
        return False


class _Arrived:
    """A request whose body has arrived, as uvicorn keeps it."""

    def __init__(self, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        transport = _Transport()
        self.cycle = RequestResponseCycle(
            scope={"type": "http", "method": "POST", "headers": headers},  # type: ignore[typeddict-item]
            transport=transport,
            flow=FlowControl(transport),
            logger=None,  # type: ignore[arg-type]
            access_logger=None,  # type: ignore[arg-type]
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=lambda: None,
        )
        self.cycle.body += body
        self.cycle.more_body = False
        self.cycle.message_event.set()
        self.exchange = ShortExchange(self.cycle, transport)
        self.cycle.scope[EXCHANGE] = self.exchange  # type: ignore[literal-required]
        scope = {"type": "http", "headers": headers, EXCHANGE: self.exchange}
        self.request = Request(scope, self.cycle.receive)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "header", "error"),
    [
        (b"12345", (b"transfer-encoding", b"chunked"), TooLarge),
        (b"1234", (b"content-encoding", b"gzip"), UnsupportedMedia),
        (b"1234", (b"content-length", b"5"), TooLarge),
        (b"1234", (b"content-length", b"x"), Malformed),
    ],
)
async def test_a_body_that_has_arrived_has_the_limits_of_others(
    body: bytes, header: tuple[bytes, bytes], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await read_body(_Arrived(body, header).request, 4, 1.0)


async def test_a_body_is_taken_once_and_then_the_client_is_waited_for() -> None:
    arrived = _Arrived(b"1234")
    assert await read_body(arrived.request, 4, 1.0) == b"1234"
    assert arrived.exchange.take_body() is None
    following = asyncio.ensure_future(arrived.cycle.receive())
    await asyncio.sleep(0)
    assert not following.done()
    arrived.cycle.disconnected = True
    arrived.cycle.message_event.set()
    assert await following == {"type": "http.disconnect"}


async def test_what_receive_has_given_is_not_taken_again() -> None:
    arrived = _Arrived(b"1234")
    await arrived.cycle.receive()
    assert arrived.exchange.take_body() is None


async def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    arrived = _Arrived(b"1234")
    cycle = weakref.ref(arrived.cycle)
    gc.disable()
    try:
        del arrived
        assert cycle() is None
    finally:
        gc.enable()


async def test_a_client_that_has_gone_gets_no_answer_on_the_short_way() -> None:
    arrived = _Arrived(b"1234")
    arrived.cycle.disconnected = True
    assert arrived.exchange.take_body() is None
    assert not arrived.exchange.answer(202, b"content-length: 0\r\n", b"")
