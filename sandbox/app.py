"""Builds the FastAPI app: the Digital River API, the control API and the middleware."""

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
from sandbox.control.docs import add_docs_page
from sandbox.delivery.webhooks import store_configured_webhook
from sandbox.errors import ApiError, handle_api_error, handle_http_exception, handle_unexpected_error
from sandbox.faults.registry import FaultRegistry
from sandbox.identity_provider import router as identity_provider
from sandbox.identity_provider.issuer import Issuer
from sandbox.middleware.authorization import AuthorizationMiddleware
from sandbox.middleware.call_log import CallLogMiddleware
from sandbox.middleware.fault_injection import FaultInjectionMiddleware
from sandbox.runtime.background_tasks import BackgroundTasks
from sandbox.runtime.rate_limit import RateLimit
from sandbox.runtime.runtime import Runtime, SignatureSettings
from sandbox.settings import Settings
from sandbox.state.clock import Clock
from sandbox.state.store import Store

_CONTROL_ROUTERS = (
    sandbox.router,
    buyers.router,
    orders.router,
    faults.router,
    webhooks.router,
    identity_provider.router,
)


@asynccontextmanager
async def _open_runtime(settings: Settings, base_url: str) -> AsyncIterator[Runtime]:
    """An empty runtime. When the context ends, the background tasks are cancelled."""
    # httpx's own pool sometimes loses a connection when a request is cancelled, until it has none left.
    network = AiohttpTransport(client=aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    client = httpx.AsyncClient(timeout=settings.delivery_timeout, transport=network)
    async with client as http, BackgroundTasks() as background_tasks:
        yield Runtime(
            settings=settings,
            base_url=base_url,
            store=Store(Clock()),
            background_tasks=background_tasks,
            faults=FaultRegistry(),
            rate_limit=RateLimit(settings.rate_limit),
            signature_settings=SignatureSettings(settings.signature_timestamp),
            http=http,
            calls=deque(maxlen=settings.log_entries),
            deliveries=deque(maxlen=settings.log_entries),
        )


def create_app(settings: Settings, base_url: str) -> FastAPI:
    """The sandbox. `base_url` is its own address in the URLs that it answers."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _open_runtime(settings, base_url) as runtime:
            app.state.runtime = runtime
            app.state.issuer = Issuer(f"{base_url}/_sandbox/oidc", settings.audience)
            store_configured_webhook(runtime)
            yield

    app = FastAPI(
        title="Digital River sandbox: control",
        description="Lets tests and developers control the sandbox. It needs no authorization.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/_sandbox/openapi.json",
        lifespan=lifespan,
    )
    app.router.routes.extend(ROUTES)
    add_docs_page(app)
    for router in _CONTROL_ROUTERS:
        app.include_router(router, prefix="/_sandbox")
    app.add_exception_handler(ApiError, handle_api_error)
    app.add_exception_handler(HTTPException, handle_http_exception)
    app.add_exception_handler(Exception, handle_unexpected_error)
    # The middleware that is added last gets a call first.
    app.add_middleware(FaultInjectionMiddleware)
    app.add_middleware(AuthorizationMiddleware)
    app.add_middleware(CallLogMiddleware, routes=ROUTES)
    return app
