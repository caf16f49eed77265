"""A small app that trusts the tests' issuer, and helpers that check its answer to a token."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
from fastapi import FastAPI

from app.access.authorization import get_own_customer
from app.identity.bearer import OPS, CurrentCustomer, CurrentPrincipal, require_scope
from app.identity.principal import Principal
from app.identity.tokens import TokenVerifier
from app.web import setup
from tests.identity.issuer import Issuer, settings


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
async def client_of_small_app(
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


async def get_with_token(http: httpx.AsyncClient, token: str, path: str = "/v1/who") -> httpx.Response:
    return await http.get(path, headers={"authorization": f"Bearer {token}"})


async def assert_refused(http: httpx.AsyncClient, token: str) -> None:
    response = await get_with_token(http, token)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    problem = response.json()
    assert problem["type"] == "urn:portal:problem:unauthenticated"
    assert problem["detail"]
