"""A Digital River that costs next to nothing: `python -m bench.far_side 0.1` answers each call after 100 ms.

It has what the handling of an invoice's event calls: a file with any id, an order with any id, links, and an
empty list of events. The sandbox does more, and therefore answers fewer calls a second than the worker makes.
"""

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs

import httptools
import uvloop

Answer = tuple[int, dict[str, Any]]


class FarSide:
    """The state: the links that were created, by file."""

    def __init__(self) -> None:
        self.url = ""
        self._links: dict[str, list[dict[str, Any]]] = {}

    def answer(self, method: str, url: bytes, body: bytes) -> Answer:
        """The status and the JSON for one call."""
        parsed = httptools.parse_url(url)
        _, resource, *rest = parsed.path.decode().split("/")
        match method, resource, rest:
            case "GET", "files", [file_id]:
                return 200, self._file(file_id)
            case "GET", "file-links", []:
                (file_id,) = parse_qs((parsed.query or b"").decode())["fileId"]
                return 200, {"hasMore": False, "data": self._links.get(file_id, [])[::-1]}
            case "POST", "file-links", []:
                return 201, self._create_link(**json.loads(body))
            case "GET", "orders", [order_id]:
                return 200, _order(order_id)
            case "GET", "events", []:
                return 200, {"hasMore": False, "data": []}
        error = {"code": "not_found", "message": "The far side of the benchmark has no such call."}
        return 404, {"type": "not_found", "errors": [error]}

    def _file(self, file_id: str) -> dict[str, Any]:
        file = {
            "id": file_id,
            "createdTime": _now(),
            "fileName": f"invoice-{file_id}.pdf",
            "purpose": "customer_invoice",
            "size": 43_210,
            "type": "pdf",
            "url": f"{self.url}/files/{file_id}/content",
            "liveMode": False,
        }
        links = self._links.get(file_id)
        # Digital River docs, Files: `links` is absent if there are none.
        return {**file, "links": links} if links else file

    def _create_link(self, fileId: str, expiresTime: str) -> dict[str, Any]:  # noqa: N803 - JSON's names
        link_id = str(uuid.uuid4())
        link = {
            "id": link_id,
            "createdTime": _now(),
            "expired": False,
            "expiresTime": expiresTime,
            "fileId": fileId,
            "url": f"{self.url}/links/{link_id}",
            "liveMode": False,
        }
        self._links.setdefault(fileId, []).append(link)
        return link


class _Connection(asyncio.Protocol):
    """One connection that stays open. Calls on it are answered in their order, as all take the same time."""

    def __init__(self, far_side: FarSide, seconds: float) -> None:
        self._far_side = far_side
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        self._loop.call_later(self._seconds, self._answer, method, self._url, self._body)
        self._url = self._body = b""

    def _answer(self, method: str, url: bytes, body: bytes) -> None:
        status, content = self._far_side.answer(method, url, body)
        text = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        if not self._transport.is_closing():
            self._transport.write(head.encode() + text)


def _order(order_id: str) -> dict[str, Any]:
    return {
        "id": order_id,
        "createdTime": _now(),
        "customerId": "ada",
        "currency": "EUR",
        "totalAmount": 119.0,
        "state": "complete",
        "items": [],
        "liveMode": False,
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def serve(seconds: float) -> None:
    """Listen on a free port, print the URL as a line of JSON, and answer until the process ends."""
    far_side = FarSide()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(far_side, seconds), "127.0.0.1", 0, backlog=500)
    far_side.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps({"url": far_side.url}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1])))
