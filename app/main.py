"""The front door: builds the FastAPI app, opens the shared resources, mounts the rooms. No rules in it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.customers import router as customers
from app.customers import tax_router as tax
from app.customers.export import document_type
from app.customers.forgetting import list_forget_requests
from app.customers.neighbours import Eraser, Section
from app.customers.tax_identifiers import erase_replacements
from app.db.buckets import Buckets
from app.documents import router as documents
from app.documents.downloads import Downloads
from app.documents.export import list_records, list_support_reads
from app.idempotency.erasing import erase_answers
from app.identity.tokens import Tokens
from app.ops import events, forgetting, health, metrics
from app.ops import status as glance
from app.ops.export import list_held_events
from app.orders import router as orders
from app.orders.export import list_whole_orders
from app.payment_sources import router as payment_sources
from app.payment_sources.export import list_payment_sources
from app.resources import open_resources
from app.settings import Settings, read_settings
from app.web import assembly
from app.web.limits import Limits
from app.webhooks import router as webhooks
from app.webhooks.ingest import BatchWriter
from app.worker.handlers import HANDLERS

DESCRIPTION = """
The customer portal of a shop that sells through Digital River: documents, profile, payment sources, orders.

* **Access**: send the shop's access token as `Authorization: Bearer …`. What is not yours does not
  exist: 404.
* **Errors** are problem documents (RFC 9457). `type` is stable, `detail` may be shown to a buyer, `errors`
  point to the fields of your request, `requestId` is for support.
* **Lists** are `{"data": […], "nextCursor": …}`; pass `nextCursor` as `cursor` until it is null.
* **Times** are RFC 3339 in UTC, money is a decimal string beside its ISO 4217 currency.
* **Repeating** is safe: send an `Idempotency-Key` with a POST, and after a timeout the same request again.
* **Changing** what others may change too needs the `ETag` you have read as `If-Match`; 412 means: read again.
* **Limits**: `RateLimit` says how many requests are left, of the buyer and of the address they come from.
  After a 429 wait as long as `Retry-After` says.
* **Support** tokens (`portal:support`) may read any customer's things; each such read is recorded.
"""

TAGS = [
    {"name": "customers", "description": "Who the buyer is: profile, default address, forget and export."},
    {"name": "tax", "description": "Tax identifiers and US exemption certificates."},
    {"name": "orders", "description": "What was bought, how far it is, and what is being paid back."},
    {"name": "documents", "description": "Invoices and credit memos: list them, open them."},
    {"name": "payment sources", "description": "Saved payment methods, and Drop-in to save another one."},
    {"name": "webhooks", "description": "Where Digital River delivers its events."},
    {"name": "operations", "description": "For operators: is it well, and what is stuck?"},
]

# What an export holds beside the profile, and what is erased when a customer asks to be forgotten.
EXPORT_SECTIONS: Mapping[str, Section] = {
    "paymentSources": list_payment_sources,
    "orders": list_whole_orders,
    "documents": list_records,
    "events": list_held_events,
    "supportReads": list_support_reads,
    "forgetRequests": list_forget_requests,
}
ERASERS: Mapping[str, Eraser] = {
    "The stored answers to your requests.": erase_answers,
    "Copies of tax identifiers and certificates that are on their way.": erase_replacements,
}
EXPORT = customers.export_router(document_type(EXPORT_SECTIONS))


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API. Opens its resources when it starts to serve, and closes them when it stops."""
    settings = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings) as resources, Tokens.open(settings) as tokens:
            app.state.resources = resources
            app.state.tokens = tokens
            secret = settings.digital_river_secret_key.get_secret_value()
            app.state.limits = Limits(Buckets(resources.hot, secret), settings)
            app.state.documents_of = documents.documents_of
            app.state.downloads = Downloads(settings)
            app.state.export_sections = EXPORT_SECTIONS
            app.state.erasers = ERASERS
            writer = BatchWriter(resources.hot)
            app.state.webhook_receiver = webhooks.WebhookReceiver(writer, settings, HANDLERS)
            yield

    app = FastAPI(
        title="Customer portal",
        version="1",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": "/", "description": "Where this document was read."}],
        contact={"name": "Whoever operates this portal"},
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    assembly.install(app, settings, is_limited=True)
    # The hot paths first: routes are tried in this order. Not by `include_router`, which would try them
    # through a layer for each room and costs a tenth of a webhook's time.
    for room in (
        webhooks,
        documents,
        customers,
        tax,
        orders,
        payment_sources,
        events,
        forgetting,
        glance,
        health,
        metrics,
    ):
        app.router.routes.extend(room.router.routes)
    app.router.routes.extend(EXPORT.routes)
    return app
