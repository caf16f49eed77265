"""The product as tests run it: the sandbox as a process, the portal on a socket, everything through HTTP."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from app.digital_river import customers
from app.digital_river.errors import BreakerOpen, Missing, Throttled
from app.digital_river.transport import Transport
from app.handlers import HANDLERS
from app.ids import CustomerId
from app.main import create_app
from app.settings import Settings
from app.web.server import KEEP_ALIVE_SECONDS, BoundedProtocol
from app.webhooks.inbox import Slot
from app.webhooks.router import LetterBox
from app.worker import Worker
from tests.declared import Watched

SECRET = "whs_a_secret_for_tests"
PATIENCE_SECONDS = 15.0

Json = dict[str, Any]
_Found = TypeVar("_Found")


async def eventually(find: Callable[[], Awaitable[_Found]], *, within: float = PATIENCE_SECONDS) -> _Found:
    """The first truthy answer of `find`; fails when there is none in time."""
    deadline = time.monotonic() + within
    while not (found := await find()):
        assert time.monotonic() < deadline, f"not within {within} s, the last answer was {found!r}"
        await asyncio.sleep(0.02)
    return found


def signed(body: bytes, *, secret: str = SECRET, timestamp: str | None = None) -> dict[str, str]:
    """The headers of an honest delivery; an own reading of the documents, not the product's code."""
    stamp = timestamp or str(round(time.time() * 1000))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {"Content-Type": "application/json", "DigitalRiver-Signature": f"{stamp}, {signature}"}


def invoice_event(**changes: Any) -> Json:
    """An event as Digital River sends it; `changes` go into its object, `None` takes a field out."""
    file_id = str(uuid4())
    subject = {
        "id": file_id,
        "fileId": file_id,
        "orderId": str(uuid4().int)[:12],
        "customerId": f"customer-{uuid4().hex[:8]}",
        "purpose": "customer_invoice",
        "invoiceURL": f"https://api.digitalriver.com/files/{file_id}/content",
    } | changes
    return {
        "id": str(uuid4()),
        "type": "order.invoice.created",
        "data": {"object": {name: value for name, value in subject.items() if value is not None}},
        "liveMode": False,
        "createdTime": "2026-01-31T09:30:00.591115Z",
        "versionIds": [],
    }


@dataclass
class Sandbox:
    """A client of the sandbox: Digital River's API with the secret key, and the control API."""

    url: str
    client: httpx.AsyncClient

    async def get(self, path: str, **params: Any) -> Json:
        answer: Json = (await self.client.get(path, params=params)).raise_for_status().json()
        return answer

    async def all_of(self, path: str, **filters: str) -> list[Json]:
        """Every page of a list."""
        found: list[Json] = []
        page: Json = {"hasMore": True}
        while page["hasMore"]:
            after = {"startingAfter": found[-1]["id"]} if found else {}
            page = await self.get(path, limit=100, **filters, **after)
            found += page["data"]
        return found

    async def post(self, path: str, body: Json | None = None) -> Json:
        response = (await self.client.post(path, json=body or {})).raise_for_status()
        answer: Json = response.json() if response.content else {}
        return answer

    async def reset(self) -> None:
        await self.post("/_sandbox/reset")

    async def token(self, customer_id: str, **more: Any) -> dict[str, str]:
        """The header of a token for this customer."""
        answer = await self.post("/_sandbox/tokens", {"customerId": customer_id, **more})
        return {"Authorization": f"Bearer {answer['accessToken']}"}

    async def order(self, customer_id: str | None = "ada", **more: Any) -> Json:
        """An order as a buyer's checkout makes it; without a customer id it is a guest's."""
        owner = {} if customer_id is None else {"customerId": customer_id}
        item = {"name": "Desk lamp", "price": 49.9, "quantity": 2}
        return await self.post("/_sandbox/orders", {"items": [item], **owner, **more})

    async def fulfil(self, order: Json) -> None:
        """Capture all of it: an invoice follows."""
        items = [{"itemId": item["id"], "quantity": item["quantity"]} for item in order["items"]]
        await self.post("/fulfillments", {"orderId": order["id"], "items": items})

    async def invoiced(self, order: Json) -> str:
        """Capture all of it and wait; returns the invoice's file id."""
        await self.fulfil(order)

        async def pdfs() -> list[Json]:
            found: list[Json] = (await self.get(f"/orders/{order['id']}")).get("invoicePDFs") or []
            return found

        file_id: str = (await eventually(pdfs))[0]["id"]
        return file_id

    async def refund(self, order: Json, percent: int = 100) -> None:
        """Give the money back: a credit memo follows. The order must be complete."""

        async def is_complete() -> bool:
            return bool((await self.get(f"/orders/{order['id']}"))["state"] == "complete")

        await eventually(is_complete)
        await self.post(
            "/refunds", {"orderId": order["id"], "currency": order["currency"], "percent": percent}
        )

    async def fault(self, kind: str, *, times: int | None = None, **more: Any) -> None:
        """Turn the fault dial; what is not about the fault itself is its target."""
        about_fault = (
            *("seconds", "status", "retryAfter", "copies", "until", "afterwards", "fields"),
            *("variant", "seed"),
        )
        fault = {name: more.pop(name) for name in about_fault if name in more}
        await self.post("/_sandbox/faults", {"kind": kind, "target": more, "times": times, **fault})

    async def count(self, call: str) -> int:
        """How often a call like `POST /file-links` arrived."""
        counts: dict[str, int] = (await self.get("/_sandbox/requests"))["counts"]
        return counts.get(call, 0)

    async def register_webhook(self, url: str, types: Sequence[str] = tuple(HANDLERS)) -> list[str]:
        """Deliver events of these types to the portal at `url`; returns the signing secrets."""
        address = f"{url}/webhooks/digital-river"
        webhook = await self.post("/webhooks", {"types": list(types), "address": address})
        secrets: list[str] = (await self.get(f"/_sandbox/webhooks/{webhook['id']}/secrets"))["secrets"]
        return secrets


@asynccontextmanager
async def running_sandbox(**environment: str) -> AsyncIterator[Sandbox]:
    """A sandbox as a process of its own, fast and without a rate limit unless told otherwise."""
    quick = {
        "SANDBOX_TETHER": "1",
        "SANDBOX_CAPTURE_DELAY": "0.02",
        "SANDBOX_RETRY_DELAY": "0.1",
        "SANDBOX_RATE_LIMIT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "sandbox", "--port", "0"),
        env={**os.environ, **quick, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    try:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client:
            yield Sandbox(url, client)
    finally:
        process.terminate()
        await process.wait()


def settings_for(database_url: str, sandbox_url: str, **changes: Any) -> Settings:
    """A portal's settings for this database and this sandbox."""
    values: dict[str, Any] = {
        "environment": "development",
        "database_url": SecretStr(database_url),
        "digital_river_url": sandbox_url,
        "digital_river_secret_key": SecretStr("sk_test_sandbox"),
        "digital_river_public_key": "pk_test_sandbox",
        "digital_river_requests_per_second": 1000,
        "webhook_secrets": (SecretStr(SECRET),),
        "oidc_issuer": f"{sandbox_url}/_sandbox/oidc",
        "oidc_audience": "portal",
        "worker_lease": 5.0,
        # All tests call from one address.
        "rate_limit_per_buyer": 1_000_000,
        "rate_limit_per_address": 1_000_000,
    }
    return Settings(**{**values, **changes})


def as_environment(settings: Settings) -> dict[str, str]:
    """The same settings as a process of its own reads them."""
    secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
    return {
        "PORTAL_ENVIRONMENT": settings.environment,
        "PORTAL_DATABASE_URL": settings.database_url.get_secret_value(),
        "PORTAL_DIGITAL_RIVER_URL": settings.digital_river_url,
        "PORTAL_DIGITAL_RIVER_SECRET_KEY": settings.digital_river_secret_key.get_secret_value(),
        "PORTAL_DIGITAL_RIVER_PUBLIC_KEY": settings.digital_river_public_key,
        "PORTAL_DIGITAL_RIVER_REQUESTS_PER_SECOND": str(settings.digital_river_requests_per_second),
        "PORTAL_WEBHOOK_SECRETS": json.dumps(secrets),
        "PORTAL_OIDC_ISSUER": settings.oidc_issuer,
        "PORTAL_OIDC_AUDIENCE": settings.oidc_audience,
        "PORTAL_WORKER_LEASE": str(settings.worker_lease),
        "PORTAL_RATE_LIMIT_PER_BUYER": str(settings.rate_limit_per_buyer),
        "PORTAL_RATE_LIMIT_PER_ADDRESS": str(settings.rate_limit_per_address),
        "PORTAL_TRUSTED_PROXIES": json.dumps([str(network) for network in settings.trusted_proxies]),
    }


@dataclass
class Portal:
    """A running portal: its address, a client of it, and its settings."""

    url: str
    client: httpx.AsyncClient
    settings: Settings
    app: FastAPI | None = None
    stop: Callable[[], None] = lambda: None

    def trust(self, secrets: Sequence[str]) -> None:
        """Accept these signing secrets from now on, as a restart with new settings would."""
        assert self.app is not None
        settings = self.settings.model_copy(
            update={"webhook_secrets": tuple(SecretStr(secret) for secret in (SECRET, *secrets))}
        )
        self.app.state.letter_box = LetterBox(Slot(self.app.state.resources.hot), settings, HANDLERS)

    async def deliver(self, event: Json, *, secret: str = SECRET) -> httpx.Response:
        """Deliver an event as Digital River does."""
        body = json.dumps(event).encode()
        return await self.client.post(
            "/webhooks/digital-river", content=body, headers=signed(body, secret=secret)
        )

    async def get(self, path: str, token: Mapping[str, str], **params: Any) -> httpx.Response:
        return await self.client.get(path, headers=dict(token), params=params or None)

    async def documents(self, token: Mapping[str, str], count: int) -> list[Json]:
        """The caller's documents, once there are `count`."""

        async def find() -> list[Json]:
            answer = (await self.get("/v1/documents", token)).raise_for_status().json()
            found: list[Json] = answer["data"]
            return found if len(found) >= count else []

        return await eventually(find)

    async def meet_far_side(self) -> None:
        """A good call, so that the breaker counts no failures of the tests before."""
        assert self.app is not None
        far: Transport = self.app.state.resources.far

        async def answers() -> bool:
            try:
                await customers.fetch_customer(far, CustomerId("nobody"))
            except Missing:
                return True
            except (BreakerOpen, Throttled):
                return False
            return False

        await eventually(answers)

    async def settle(self, database: asyncpg.Connection) -> None:
        """Wait until nobody works on an event; events that wait for their next attempt stay."""

        async def is_quiet() -> bool:
            busy = "SELECT count(*) FROM webhook_event WHERE state = 'pending' AND due_at <= now()"
            held = "SELECT count(*) FROM lease WHERE held_until > now() AND name LIKE 'link:%'"
            return not await database.fetchval(busy) and not await database.fetchval(held)

        await eventually(is_quiet)


async def pass_time(database: asyncpg.Connection, sandbox: Sandbox, seconds: float) -> None:
    """Move the clocks of both sides. Tokens and signatures stay with the real one."""
    await database.execute("UPDATE clock.shift SET by = by + make_interval(secs => $1)", seconds)
    await sandbox.post("/_sandbox/clock", {"advanceSeconds": seconds})


class _Server(uvicorn.Server):
    """uvicorn beside tests: signals stay pytest's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


_DOCUMENTS: list[Json] = []


def _published(app: FastAPI) -> Json:
    """The document, which is the same for every portal; made once, because it takes a second."""
    if not _DOCUMENTS:
        _DOCUMENTS.append(app.openapi())
    return _DOCUMENTS[0]


@asynccontextmanager
async def running_portal(
    database_url: str, sandbox_url: str, *, with_worker: bool = True, **changes: Any
) -> AsyncIterator[Portal]:
    """API on a socket and, unless told otherwise, a worker, both in this process."""
    settings = settings_for(database_url, sandbox_url, **changes)
    app = create_app(settings)
    config = uvicorn.Config(
        Watched(app, _published(app)),
        port=0,
        log_config=None,
        access_log=False,
        http=BoundedProtocol,
        ws="none",
        # As `portal api`. With uvicorn's five seconds, which are httpx's too, both may close at once.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())

    async def has_started() -> bool:
        assert not serving.done(), "the API did not start"
        return server.started

    await eventually(has_started)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    stop = asyncio.Event()
    working = asyncio.create_task(Worker(app.state.resources).run(stop)) if with_worker else None
    try:
        async with httpx.AsyncClient(base_url=url, timeout=15) as client:
            yield Portal(url, client, settings, app)
    finally:
        stop.set()
        if working:
            await working
        server.should_exit = True
        await serving
