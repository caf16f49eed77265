"""The client on real sockets: rules that only a network can show."""

import asyncio
import errno
import gc
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import BinaryIO, cast

import pytest
from aiohttp import web

from app.digital_river.api import customers, files, orders
from app.digital_river.client.circuit_breaker import BreakerState
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Upload
from app.digital_river.errors import Garbled, Refused, Unavailable
from app.digital_river.models import CustomerChanges
from app.ids import CustomerId, FileId, OrderId
from tests.support.digital_river import settings

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving_at(answering: Answering) -> AsyncIterator[str]:
    """The address of a server on a free port that answers everything with one function."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{rest:.*}", answering)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site_url(runner)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(answering: Answering) -> AsyncIterator[DigitalRiverClient]:
    """A transport to such a server."""
    async with serving_at(answering) as url, DigitalRiverClient.open(settings(url=url)) as digital_river:
        yield digital_river


def site_url(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


def write_customer(digital_river: DigitalRiverClient) -> Awaitable[object]:
    return customers.update_customer(digital_river, CustomerId("c"), CustomerChanges(email="a@b.test"))


async def test_a_refused_connection_is_known_to_have_sent_nothing(unused_tcp_port: int) -> None:
    async with DigitalRiverClient.open(settings(url=f"http://127.0.0.1:{unused_tcp_port}")) as digital_river:
        with pytest.raises(Unavailable) as caught:
            await write_customer(digital_river)
    assert not caught.value.sent
    assert str(unused_tcp_port) not in str(caught.value)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
async def test_a_connection_that_breaks_after_a_write_was_sent_is_not_tried_again(answer: bytes) -> None:
    heard: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, DigitalRiverClient.open(settings(url=f"http://127.0.0.1:{port}")) as digital_river:
        with pytest.raises(Unavailable) as caught:
            await write_customer(digital_river)
    assert caught.value.sent
    assert len(heard) == 1


async def test_an_answer_that_is_not_http_is_unavailable() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n")
        writer.write(b"220 mail.test ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, DigitalRiverClient.open(settings(url=f"http://127.0.0.1:{port}")) as digital_river:
        with pytest.raises(Unavailable):
            await write_customer(digital_river)


async def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    cookies: list[str | None] = []

    async def redirect(request: web.Request) -> web.StreamResponse:
        cookies.append(request.headers.get("cookie"))
        return web.Response(status=302, headers={"Location": "/elsewhere", "Set-Cookie": "a=b; Path=/"})

    async with serving(redirect) as digital_river:
        for _ in range(2):
            with pytest.raises(Garbled):
                await orders.fetch_any_order(digital_river, OrderId("1"))
    assert cookies == [None, None]


async def test_a_compressed_answer_is_read() -> None:
    async def compressed(request: web.Request) -> web.StreamResponse:
        response = web.json_response({"id": "1", "totalAmount": 27.01})
        response.enable_compression()
        return response

    async with serving(compressed) as digital_river:
        assert str((await orders.fetch_any_order(digital_river, OrderId("1"))).total_amount) == "27.01"


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("filling", [0, 10_000, 20_000, 500_000])
async def test_an_answer_is_read_whether_it_arrives_with_its_head_or_later(
    filling: int, is_chunked: bool
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert not await request.read()
        fields = {"totalAmount": 27.01, "metadata": {"note": filling * "x"}}
        response = web.json_response({"id": request.path.rpartition("/")[2], **fields})
        if is_chunked:
            response.enable_chunked_encoding()
        return response

    async with serving(answer) as digital_river:
        for order_id in ("1", "2"):
            order = await orders.fetch_any_order(digital_river, OrderId(order_id))
            assert (order.id, str(order.total_amount)) == (order_id, "27.01")


async def test_a_file_streams_through_without_being_held() -> None:
    block = os.urandom(64 * 1024)

    async def content(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/pdf"})
        response.content_length = 80 * len(block)
        await response.prepare(request)
        for _ in range(80):
            await response.write(block)
        return response

    digest, size, largest = hashlib.sha256(), 0, 0
    async with (
        serving(content) as digital_river,
        files.stream_content(digital_river, FileId("f")) as download,
    ):
        async for chunk in download.chunks:
            digest.update(chunk)
            size += len(chunk)
            largest = max(largest, len(chunk))
        assert (download.content_type, download.length) == ("application/pdf", 80 * len(block))
    assert (size, digest.digest()) == (80 * len(block), hashlib.sha256(block * 80).digest())
    assert largest <= 64 * 1024


async def test_a_file_that_breaks_off_is_unavailable_and_never_looks_complete() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"x" * 500)
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(half) as digital_river, files.stream_content(digital_river, FileId("f")) as download:
        with pytest.raises(Unavailable):
            async for _ in download.chunks:
                pass


def on_disk() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=1))


@pytest.mark.parametrize("new_file", [BytesIO, on_disk])
async def test_an_upload_arrives_as_a_form_with_its_length(new_file: Callable[[], BinaryIO]) -> None:
    forms: list[dict[str, object]] = []

    async def receive(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        forms.append(
            {
                **{name: value for name, value in form.items() if isinstance(value, str)},
                "name": file.filename,
                "type": file.content_type,
                "size": len(file.file.read()),
                "length": request.content_length is not None,
            }
        )
        return web.json_response({"id": "f"}, status=201)

    async with serving(receive) as digital_river:
        with new_file() as content:
            content.write(b"x" * 50 * 64 * 1024)
            upload = Upload("tax “2030”.pdf", "application/pdf", content)
            file = await files.upload_file(
                digital_river, purpose="tax_document_customer_upload", upload=upload
            )
    assert file.id == "f"
    assert forms == [
        {
            "purpose": "tax_document_customer_upload",
            "fileName": "tax “2030”.pdf",
            "name": "tax “2030”.pdf",
            "type": "application/pdf",
            "size": 50 * 64 * 1024,
            "length": True,
        }
    ]


async def test_a_refused_upload_is_refused() -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        await request.read()
        body = {"type": "bad_request", "errors": [{"code": "invalid_parameter", "parameter": "file"}]}
        return web.json_response(body, status=400)

    async with serving(refuse) as digital_river:
        with pytest.raises(Refused) as caught:
            await files.upload_file(
                digital_river, purpose="p", upload=Upload("a", "image/png", BytesIO(b"x"))
            )
    assert caught.value.parameters == ("file",)


@pytest.mark.proof
async def test_a_hundred_calls_at_once_and_a_close_leave_no_socket_behind() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return web.json_response({"id": "1"})

    async with serving(slow) as digital_river:
        answers = await asyncio.gather(
            *(orders.fetch_any_order(digital_river, OrderId("1")) for _ in range(100))
        )
        assert len(answers) == 100
        hurried = [asyncio.create_task(_order(digital_river)) for _ in range(20)]
        await asyncio.sleep(0.005)
        for task in hurried:
            task.cancel()
        await asyncio.wait(hurried)
        await orders.fetch_any_order(digital_river, OrderId("1"))
    gc.collect()  # an unclosed one would warn, and warnings are errors


async def _order(digital_river: DigitalRiverClient) -> None:
    await orders.fetch_any_order(digital_river, OrderId("1"))


class _BadDisk(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError(errno.EIO, "a bad sector")
        return super().read(size)


async def test_a_file_that_cannot_be_read_here_is_no_outage_of_digital_river() -> None:
    async def receive(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({"id": "f"})

    async with serving(receive) as client:
        for _ in range(10):
            upload = Upload("a.pdf", "application/pdf", _BadDisk(bytes(200_000)))
            with pytest.raises(OSError, match="a bad sector"):
                await files.upload_file(client, purpose="p", upload=upload)
        assert client.status().breaker is BreakerState.CLOSED
