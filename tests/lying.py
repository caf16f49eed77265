"""A Digital River that lies: it hands all requests on to the sandbox, and twists what comes back."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.house import Json, Sandbox

# Given the method, the path and the honest answer.
Lie = Callable[[str, str, Json], Json]
_PASSED = ("authorization", "content-type")


class Liar:
    """Tells `lie`, which may be exchanged at any time; honest at first. Forgets the query where `is_deaf`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = ""
        self.lie: Lie = lambda method, path, answer: answer
        self.is_deaf: Callable[[str], bool] = lambda path: False
        self._sandbox = sandbox

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        told = await self._sandbox.client.request(
            request.method,
            request.path,
            params=None if self.is_deaf(request.path) else list(request.query.items()),
            content=await request.read(),
            headers=headers,
        )
        kind = told.headers.get("content-type", "")
        if told.is_success and kind.startswith("application/json"):
            twisted: Any = self.lie(request.method, request.path, told.json())
            return web.json_response(twisted, status=told.status_code)
        return web.Response(body=told.content, status=told.status_code, headers={"Content-Type": kind})


@asynccontextmanager
async def lying(sandbox: Sandbox) -> AsyncIterator[Liar]:
    """A liar on a socket, before this sandbox."""
    liar = Liar(sandbox)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", liar.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    liar.url = f"http://{host}:{port}"
    try:
        yield liar
    finally:
        await runner.cleanup()


def twisted_link(**changes: Any) -> Lie:
    """Every link, new or listed, has these members instead of its own; None takes one out."""

    def twist(link: Json) -> Json:
        return {name: value for name, value in {**link, **changes}.items() if value is not None}

    def lie(method: str, path: str, answer: Json) -> Json:
        if path != "/file-links":
            return answer
        return (
            {**answer, "data": [twist(one) for one in answer["data"]]} if method == "GET" else twist(answer)
        )

    return lie
