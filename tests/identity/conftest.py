"""Every test of this folder calls a small app that trusts the tiny issuer."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI

from app.access.authorization import get_own_customer
from app.identity.bearer import OPS, CurrentCustomer, CurrentPrincipal, require_scope
from app.identity.principal import Principal
from app.identity.tokens import TokenVerifier
from app.web import setup
from tests.identity.issuer import Clock, Issuer, settings


def build() -> FastAPI:
    app = FastAPI(title="Small", version="1")

    @app.get("/v1/who")
    async def who(principal: CurrentPrincipal) -> dict[str, Any]:
        return {"customer": principal.customer_id, "scopes": sorted(principal.scopes)}

    @app.get("/v1/customer")
    async def customer(customer: CurrentCustomer) -> str:
        return customer

    @app.get("/v1/customers/{named}")
    async def own(named: str, principal: CurrentPrincipal) -> str:
        return get_own_customer(principal, named)

    @app.get("/ops/status")
    async def status(principal: Annotated[Principal, require_scope(OPS)]) -> str:
        return principal.subject

    return app


@asynccontextmanager
async def calling(
    issuer: Issuer, *, clock: Callable[[], float] | None = None, **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with these settings, on the issuer's clock; `clock` measures what has passed."""
    chosen = settings(**changes)
    app = build()
    setup.install(app, chosen)
    app.state.resources = SimpleNamespace()
    opened = TokenVerifier.open(
        chosen, transport=issuer.transport, now=issuer.clock, clock=clock or issuer.clock
    )
    async with (
        opened as app.state.resources.token_verifier,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://portal.test") as client,
    ):
        yield client


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(Clock())


@pytest.fixture
async def http(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(issuer) as client:
        yield client
