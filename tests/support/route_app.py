"""An app with a test's own routes behind the real middleware, with real tokens and tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI

from app.main import open_api_resources
from app.settings import Settings
from app.web import setup


@asynccontextmanager
async def client_of_routes(settings: Settings, *routers: APIRouter) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with these routes, as one process of several would run it."""
    app = FastAPI(title="Routes of a test", version="1")
    for router in routers:
        # As `app.main` does: FastAPI serves included routes in another way.
        app.router.routes.extend(router.routes)
    setup.install(app, settings)
    async with open_api_resources(settings) as resources:
        app.state.resources = resources
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://portal.test") as client:
            yield client
