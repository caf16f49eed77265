"""The front door: builds the FastAPI app, opens the shared resources, mounts the rooms. No rules in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.documents import router as documents
from app.handlers import HANDLERS
from app.identity.tokens import Tokens
from app.ops import events, health
from app.resources import open_resources
from app.settings import Settings, read_settings
from app.web import assembly
from app.webhooks import router as webhooks
from app.webhooks.inbox import Slot

DESCRIPTION = """
The customer portal of a shop that sells through Digital River: documents, profile, payment sources, orders.

* **Access**: send the shop's access token as `Authorization: Bearer …`. What is not yours does not
  exist: 404.
* **Errors** are problem documents (RFC 9457). `type` is stable, `detail` may be shown to a buyer, `errors`
  point to the fields of your request, `requestId` is for support.
* **Lists** are `{"data": […], "nextCursor": …}`; pass `nextCursor` as `cursor` until it is null.
* **Times** are RFC 3339 in UTC, money is a decimal string beside its ISO 4217 currency.
"""

TAGS = [
    {"name": "documents", "description": "Invoices and credit memos: list them, open them."},
    {"name": "webhooks", "description": "Where Digital River delivers its events."},
    {"name": "operations", "description": "For operators: is it well, and what is stuck?"},
]


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API. Opens its resources when it starts to serve, and closes them when it stops."""
    settings = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings) as resources, Tokens.open(settings) as tokens:
            app.state.resources = resources
            app.state.tokens = tokens
            app.state.letter_box = webhooks.LetterBox(Slot(resources.hot), settings, HANDLERS)
            yield

    app = FastAPI(
        title="Customer portal",
        version="1",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    assembly.install(app, settings)
    for room in (documents, webhooks, events, health):
        app.include_router(room.router)
    return app
