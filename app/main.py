"""Puts the HTTP API together: opens its resources and adds the routes of every package. No business rules."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from app.customers import router as customers
from app.db.token_buckets import TokenBuckets
from app.documents import router as documents
from app.documents.downloads import DownloadLimiter
from app.identity.tokens import TokenVerifier
from app.ops import events, health, metrics_route, status
from app.orders import router as orders
from app.payment_sources import router as payment_sources
from app.privacy import router as privacy
from app.resources import Resources, open_resources
from app.settings import Settings, read_settings
from app.tax import router as tax
from app.web import setup
from app.web.direct_route import DirectRoute
from app.web.rate_limits import RateLimits
from app.webhooks import router as webhooks
from app.webhooks.ingest import BatchWriter
from app.webhooks.router import WebhookReceiver
from app.worker.handlers import HANDLERS

DESCRIPTION = """
The customer portal of a shop that sells through Digital River: documents, profile, payment sources, orders.

* **Access**: send the shop's access token as `Authorization: Bearer …`. The answer about data of another
  customer is 404.
* **Errors** are problem documents (RFC 9457). `type` is stable, `detail` may be shown to a buyer, `errors`
  point to the fields of your request, and support finds the request by its `requestId`.
* **Lists** are `{"data": […], "nextCursor": …}`; pass `nextCursor` as `cursor` until it is null.
* **Times** are RFC 3339 in UTC, money is a decimal string beside its ISO 4217 currency.
* **Retries** are safe: send an `Idempotency-Key` with a POST, and after a timeout send the same request
  again.
* **Changes** need the `ETag` of the version that you have read as `If-Match`, where another client may change
  the same data. 412 means: read it again.
* **Limits**: `RateLimit` says how many requests are left for the buyer and for the client's address. After a
  429, wait for the time in `Retry-After`.
* **Support** tokens (`portal:support`) may read the data of any customer; each such read is recorded.
"""

TAGS = [
    {
        "name": "customers",
        "description": "The buyer's profile and default shipping address, data export and erasure.",
    },
    {"name": "tax", "description": "Tax identifiers and US exemption certificates."},
    {"name": "orders", "description": "Orders: their items, progress and refunds."},
    {"name": "documents", "description": "Invoices and credit memos."},
    {"name": "payment sources", "description": "Saved payment methods, and Drop-in to save another method."},
    {"name": "webhooks", "description": "The endpoint to which Digital River sends its events."},
    {"name": "operations", "description": "For operators: health, status and stuck events."},
]


# The busiest routes first, because Starlette tries routes in this order. Not by `include_router`: it adds
# a layer for each router, which costs a tenth of the time of a webhook.
ROUTERS = (
    webhooks.router,
    documents.router,
    customers.router,
    privacy.forget_router,
    tax.router,
    orders.router,
    payment_sources.router,
    events.router,
    privacy.ops_router,
    status.router,
    health.router,
    metrics_route.router,
    privacy.export_router,
)


@dataclass(frozen=True)
class ApiResources(Resources):
    """The resources of every process, and those that only the API needs."""

    token_verifier: TokenVerifier
    limits: RateLimits
    downloads: DownloadLimiter
    webhook_receiver: WebhookReceiver


@asynccontextmanager
async def open_api_resources(settings: Settings) -> AsyncIterator[ApiResources]:
    """Open everything for the length of the block."""
    async with open_resources(settings) as opened, TokenVerifier.open(settings) as token_verifier:
        secret = settings.digital_river_secret_key.get_secret_value()
        yield ApiResources(
            settings=opened.settings,
            engine=opened.engine,
            hot_pool=opened.hot_pool,
            leases=opened.leases,
            digital_river=opened.digital_river,
            token_verifier=token_verifier,
            limits=RateLimits(TokenBuckets(opened.hot_pool, secret), settings),
            downloads=DownloadLimiter(settings),
            webhook_receiver=WebhookReceiver(BatchWriter(opened.hot_pool), settings, HANDLERS),
        )


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API. It opens its resources when it starts to serve, and closes them when it stops."""
    settings = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_api_resources(settings) as resources:
            app.state.resources = resources
            yield

    app = FastAPI(
        title="Customer portal",
        version="1",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": "/", "description": "The server from which this document was read."}],
        contact={"name": "Whoever operates this portal"},
        license_info={"name": "MIT", "identifier": "MIT"},
        # FastAPI's records for OpenTelemetry hold the messages of exceptions, which may be personal.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    setup.install(app, settings, rate_limited=True)
    # The outermost middleware.
    app.add_middleware(
        DirectRoute,
        path=webhooks.PATH,
        endpoint=webhooks.receive_event,
        https_only=settings.environment == "production",
    )
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    return app
