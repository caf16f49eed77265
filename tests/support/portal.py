"""The portal in this process: API and worker, called over HTTP."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from app.digital_river.api import customers
from app.digital_river.client.call_limits import ClientStatus
from app.digital_river.client.circuit_breaker import BreakerState
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import BreakerOpen, Missing, Throttled
from app.ids import CustomerId
from app.main import ApiResources, create_app
from app.settings import Settings
from app.web.server import KEEP_ALIVE_SECONDS, BoundedProtocol
from app.webhooks.ingest import BatchWriter
from app.webhooks.router import WebhookReceiver
from app.worker import scheduled_jobs
from app.worker.handlers import HANDLERS
from app.worker.loop import Worker
from tests.support.clock import eventually
from tests.support.declared_answers import DeclaredAnswers, Document
from tests.support.events import SECRET, signed
from tests.support.http import http_client
from tests.support.sandbox import Json, Sandbox


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
    is_answering: Callable[[], bool] = lambda: False

    def trust(self, secrets: Sequence[str]) -> None:
        """Accept these signing secrets from now on, as a restart with new settings would."""
        assert self.app is not None
        settings = self.settings.model_copy(
            update={"webhook_secrets": tuple(SecretStr(secret) for secret in (SECRET, *secrets))}
        )
        resources: ApiResources = self.app.state.resources
        receiver = WebhookReceiver(BatchWriter(resources.hot_pool), settings, HANDLERS)
        self.app.state.resources = replace(resources, webhook_receiver=receiver)

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

    def remembers_failures(self) -> bool:
        """Whether calls to Digital River of the tests before could influence the next ones."""
        assert self.app is not None
        limits = self.app.state.resources.digital_river._limits
        now: ClientStatus = limits.status()
        is_closed = now.breaker is BreakerState.CLOSED and not limits._breaker._failures
        return not is_closed or now.paused_until is not None

    async def close_breaker(self) -> None:
        """A good call, so that the breaker counts no failures of the tests before."""
        assert self.app is not None
        digital_river: DigitalRiverClient = self.app.state.resources.digital_river

        async def answers() -> bool:
            try:
                await customers.fetch_customer(digital_river, CustomerId("nobody"))
            except Missing:
                return True
            except (BreakerOpen, Throttled):
                return False
            return False

        await eventually(answers)

    async def settle(self, database: asyncpg.Connection) -> None:
        """Wait until no request is being answered (a caller that hangs up ends none) and no event is being
        handled; events that wait for their next attempt stay."""

        async def is_quiet() -> bool:
            if self.is_answering():
                return False
            busy = "SELECT count(*) FROM webhook_event WHERE state = 'pending' AND due_at <= now()"
            held = "SELECT count(*) FROM lease WHERE held_until > now() AND name LIKE 'link:%'"
            return not await database.fetchval(busy) and not await database.fetchval(held)

        await eventually(is_quiet)


async def pass_time(database: asyncpg.Connection, sandbox: Sandbox, seconds: float) -> None:
    """Move the clocks of the portal and the sandbox. Tokens and signatures keep the real time."""
    await database.execute("UPDATE clock.shift SET by = by + make_interval(secs => $1)", seconds)
    await sandbox.post("/_sandbox/clock", {"advanceSeconds": seconds})


class _Server(uvicorn.Server):
    """uvicorn beside tests: signals stay pytest's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build() -> FastAPI:
    """The app with its routes, for tests that need no database."""
    return create_app(settings_for("postgresql://nobody@127.0.0.1:1/none", "http://127.0.0.1:1"))


@cache
def published_document() -> Json:
    """The OpenAPI document, which is the same for every portal; made once, because it takes half a second."""
    document: Json = build().openapi()
    return document


@cache
def _declared_answers() -> Document:
    """For all portals of this process, so that each schema is read once."""
    return Document(published_document())


@asynccontextmanager
async def running_portal(
    database_url: str, sandbox_url: str, *, with_worker: bool = True, **changes: Any
) -> AsyncIterator[Portal]:
    """API on a socket and, by default, a worker, both in this process."""
    settings = settings_for(database_url, sandbox_url, **changes)
    app = create_app(settings)
    config = uvicorn.Config(
        DeclaredAnswers(app, _declared_answers()),
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
        async with http_client(url, timeout=15) as client:
            yield Portal(url, client, settings, app, is_answering=lambda: bool(server.server_state.tasks))
    finally:
        stop.set()
        if working:
            await working
        server.should_exit = True
        await serving


@asynccontextmanager
async def running_scheduled_jobs(portal: Portal) -> AsyncIterator[None]:
    """The scheduled jobs of a worker process, beside the portal's worker."""
    assert portal.app is not None
    stop = asyncio.Event()
    running_jobs = asyncio.create_task(
        scheduled_jobs.run_scheduled_jobs(portal.app.state.resources, HANDLERS, stop)
    )
    yield
    stop.set()
    await running_jobs


async def last_sweep(portal: Portal, token: dict[str, str]) -> Any:
    """The last finished sweep as operators see it, or nothing."""
    found = (await portal.get("/ops/status", token)).raise_for_status().json()["lastSweep"]
    return found if found and found["finishedAt"] else None
