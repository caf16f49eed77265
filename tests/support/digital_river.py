"""A Digital River for one test: it answers from a script, and records each request with its time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import DEFAULT_DEADLINES, Deadlines
from app.settings import Settings

SECRET_KEY = "sk_test_canary_key"

Line = httpx.Response | Exception | float | Callable[[httpx.Request], httpx.Response]
"""What happens to one request: an answer, a failure, that many seconds of silence, or a function's answer."""


def settings(*, url: str = "https://far.test", key: str = SECRET_KEY, per_second: int = 1000) -> Settings:
    return Settings(
        environment="development",
        digital_river_url=url,
        digital_river_secret_key=SecretStr(key),
        digital_river_requests_per_second=per_second,
        webhook_secrets=(SecretStr("whs_test_token_0001"),),
        oidc_issuer="https://issuer.test",
        oidc_audience="portal",
    )


@dataclass
class ScriptedDigitalRiver:
    """Plays `script` line by line, and its last line for ever."""

    script: list[Line]
    requests: list[httpx.Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    latency: float = 0.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.latency)
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(line, float):
            await asyncio.sleep(line)
            return found()(request)
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, httpx.Response) else line(request)

    @asynccontextmanager
    async def opened(
        self, *, per_second: int = 1000, deadlines: Deadlines = DEFAULT_DEADLINES
    ) -> AsyncIterator[DigitalRiverClient]:
        handler = httpx.MockTransport(self)
        async with DigitalRiverClient.open(
            settings(per_second=per_second), transport=handler, deadlines=deadlines
        ) as digital_river:
            yield digital_river


def found(**fields: object) -> Callable[[httpx.Request], httpx.Response]:
    """200 with an object that has at least the id that was asked for."""

    def answered(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"id": request.url.path.rpartition("/")[2]} | fields)

    return answered


def answer(status: int, code: str = "", **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """An error as documented."""
    body = {"type": "some", "errors": [{"code": code, "message": "No."}] if code else []}
    dressed = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, json=body, headers=dressed)
