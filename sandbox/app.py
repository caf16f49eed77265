"""Assembly: the resources of Digital River, the control doors, and the gates every call passes."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
from fastapi import FastAPI
from httpx_aiohttp import AiohttpTransport
from starlette.exceptions import HTTPException

from sandbox.api.routes import ROUTES
from sandbox.control import buyers, faults, orders, sandbox, webhooks
from sandbox.control.docs import show_docs
from sandbox.delivery.webhooks import keep_configured
from sandbox.errors import Refusal, answer_http_exception, answer_own_fault, answer_refusal
from sandbox.faults.registry import FaultDial
from sandbox.identity_provider import router as identity_provider
from sandbox.identity_provider.issuer import Issuer
from sandbox.middleware.authorization import AuthorizationGate
from sandbox.middleware.call_log import CallRecorder
from sandbox.middleware.fault_injection import FaultGate
from sandbox.runtime.background_tasks import Errands
from sandbox.runtime.rate_limit import RateLimit
from sandbox.runtime.runtime import SigningManner, World
from sandbox.settings import Settings
from sandbox.state.clock import Clock
from sandbox.state.store import Ledger

_CONTROL_ROUTERS = (
    sandbox.router,
    buyers.router,
    orders.router,
    faults.router,
    webhooks.router,
    identity_provider.router,
)


@asynccontextmanager
async def _opened_world(settings: Settings, base_url: str) -> AsyncIterator[World]:
    """An empty world; leaving it cancels whatever is still under way."""
    # httpx's own pool loses a connection now and then when a request is given up, and in the end has none.
    network = AiohttpTransport(client=aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    client = httpx.AsyncClient(timeout=settings.delivery_timeout, transport=network)
    async with client as http, Errands() as errands:
        yield World(
            settings=settings,
            base_url=base_url,
            ledger=Ledger(Clock()),
            errands=errands,
            faults=FaultDial(),
            limit=RateLimit(settings.rate_limit),
            signing=SigningManner(settings.signature_timestamp),
            http=http,
            calls=deque(maxlen=settings.log_entries),
            deliveries=deque(maxlen=settings.log_entries),
        )


def create_app(settings: Settings, base_url: str) -> FastAPI:
    """The sandbox under the address it calls itself in URLs; the lifespan opens and closes its world."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _opened_world(settings, base_url) as world:
            app.state.world = world
            app.state.issuer = Issuer(f"{base_url}/_sandbox/oidc", settings.audience)
            keep_configured(world)
            yield

    app = FastAPI(
        title="Digital River sandbox: control",
        description="What a test or a developer may do to the sandbox from outside. No authorization.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/_sandbox/openapi.json",
        lifespan=lifespan,
    )
    app.router.routes.extend(ROUTES)
    show_docs(app)
    for router in _CONTROL_ROUTERS:
        app.include_router(router, prefix="/_sandbox")
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(Exception, answer_own_fault)
    # The last added is the first passed.
    app.add_middleware(FaultGate)
    app.add_middleware(AuthorizationGate)
    app.add_middleware(CallRecorder, routes=ROUTES)
    return app
