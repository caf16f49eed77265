"""The sandbox behind somebody who rewrites its answers: what Digital River never documented, but may send."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from tests.house import Json, Sandbox, eventually

Twist = Callable[[str, bytes], bytes]
"""Given the path that was asked for and the honest body, what is answered in its place."""


def straight(path: str, body: bytes) -> bytes:
    """Nothing is rewritten."""
    return body


def rewriting(prefix: str, change: Callable[[Any], Any]) -> Twist:
    """`change` is made to the JSON of every answer below this path; what it returns may hold `Raw`."""

    def twist(path: str, body: bytes) -> bytes:
        return as_sent(change(json.loads(body))) if path.startswith(prefix) and body else body

    return twist


class Raw(str):
    """JSON text that no library would write."""


def as_sent(value: Any) -> bytes:
    """The value as JSON, with each `Raw` in it as it is."""
    raws: list[Raw] = []

    def marked(value: Any) -> Any:
        if isinstance(value, Raw):
            raws.append(value)
            return f"<raw {len(raws) - 1}>"
        if isinstance(value, dict):
            return {name: marked(item) for name, item in value.items()}
        return [marked(item) for item in value] if isinstance(value, list) else value

    text = json.dumps(marked(value))
    for number, raw in enumerate(raws):
        text = text.replace(f'"<raw {number}>"', raw)
    return text.encode("utf-8", "surrogateescape")


@dataclass
class TwistedFarSide:
    """Where the portal believes Digital River to be."""

    sandbox: Sandbox
    url: str = ""
    twist: Twist = straight

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        question = b""
        while True:
            message = await receive()
            question += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["raw_path"].decode() + (b"?" + scope["query_string"]).decode()
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        answer = await self.sandbox.client.request(
            scope["method"], path, content=question or None, headers=httpx.Headers(headers)
        )
        body = self.twist(scope["path"], answer.content)
        told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": told})
        await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def twisted(sandbox: Sandbox) -> AsyncIterator[TwistedFarSide]:
    """A far side that answers as the sandbox does, until its `twist` is set."""
    far_side = TwistedFarSide(sandbox)
    config = uvicorn.Config(far_side, port=0, log_config=None, access_log=False, lifespan="off", ws="none")
    server = _Server(config)
    serving = asyncio.create_task(server.serve())

    async def has_started() -> bool:
        assert not serving.done(), "the far side did not start"
        return server.started

    await eventually(has_started)
    far_side.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield far_side
    finally:
        server.should_exit = True
        await serving
