"""A proxy in front of the sandbox that changes its answers to ones that Digital River never documented."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.support.portal import Portal, running_portal
from tests.support.sandbox import Sandbox

_PASSED = ("authorization", "content-type")

Rewrite = Callable[[str, bytes], bytes]
"""Given the path that was asked for and the honest body, what is answered in its place."""


def unchanged(path: str, body: bytes) -> bytes:
    """Nothing is rewritten."""
    return body


def rewriting(prefix: str, change: Callable[[Any], Any]) -> Rewrite:
    """`change` is made to the JSON of every answer below this path; what it returns may hold `Raw`."""

    def rewrite(path: str, body: bytes) -> bytes:
        return as_sent(change(json.loads(body))) if path.startswith(prefix) and body else body

    return rewrite


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
class RewritingProxy:
    """What the portal takes for Digital River. At the path `without_query_at` the proxy drops the query."""

    sandbox: Sandbox
    url: str = ""
    rewrite: Rewrite = unchanged
    without_query_at: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        answer = await self.sandbox.client.request(
            request.method,
            request.rel_url.raw_path if request.path == self.without_query_at else request.raw_path,
            content=await request.read(),
            headers={name: request.headers[name] for name in _PASSED if name in request.headers},
        )
        kind = {name: answer.headers[name] for name in ("content-type",) if name in answer.headers}
        body = self.rewrite(request.path, answer.content)
        return web.Response(status=answer.status_code, headers=kind, body=body)


@asynccontextmanager
async def running_rewriting_proxy(sandbox: Sandbox) -> AsyncIterator[RewritingProxy]:
    """A proxy that answers as the sandbox does, until its `rewrite` is set."""
    proxy = RewritingProxy(sandbox)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", proxy.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        proxy.url = f"http://{host}:{port}"
        yield proxy
    finally:
        await runner.cleanup()


@asynccontextmanager
async def portal_behind(proxy: RewritingProxy, database_url: str, **changes: Any) -> AsyncIterator[Portal]:
    """A portal for which the proxy is Digital River; tokens come from the sandbox itself."""
    issuer = f"{proxy.sandbox.url}/_sandbox/oidc"
    async with running_portal(database_url, proxy.url, oidc_issuer=issuer, **changes) as portal:
        yield portal
