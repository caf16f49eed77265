"""Routes that count how often they ran, to test that a repeated request runs once."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict

from app.idempotency.routes import IdempotentRoute
from app.identity.bearer import OPS, CurrentPrincipal, require_scope
from app.web.api_model import ApiModel
from app.web.problems import Malformed

Token = dict[str, str]
UPLOADS = "/v1/customers/me/tax-certificates"


class Item(ApiModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "lamp"}]})

    name: str


@dataclass
class CountedWork:
    """What was done, how the next work ends, and a gate that it waits for."""

    done: list[str] = field(default_factory=list)
    error: Exception | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def do(self, what: str) -> str:
        self.done.append(what)
        answer = f"{what} {len(self.done)}"
        self.started.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return answer


def routers(work: CountedWork) -> tuple[APIRouter, APIRouter]:
    """The buyers' routes and the operators'."""
    v1 = APIRouter(prefix="/v1", route_class=IdempotentRoute)
    ops = APIRouter(prefix="/ops", route_class=IdempotentRoute, dependencies=[require_scope(OPS)])

    @v1.post("/items", status_code=201, response_model=Item)
    async def create_item(principal: CurrentPrincipal, item: Item) -> Response:
        result = await work.do(item.name)
        headers = {"ETag": '"one"', "Location": "/v1/items/1", "X-Other": "not kept"}
        body = Item(name=result).model_dump_json()
        return Response(body, 201, headers, media_type="application/json")

    @v1.get("/items")
    async def list_items(principal: CurrentPrincipal) -> list[str]:
        return [await work.do("read")]

    @v1.post("/customers/{customerId}/forget")
    async def forget(principal: CurrentPrincipal) -> str:
        return await work.do("forget")

    @v1.post("/customers/{customerId}/tax-certificates")
    async def upload(principal: CurrentPrincipal, request: Request) -> str:
        size = 0
        async for part in request.stream():
            size += len(part)
            if b"refused" in part:
                raise Malformed()
        return await work.do(f"upload of {size}")

    @ops.post("/sweep", status_code=204)
    async def sweep(days: int | None = None, fast: str | None = None) -> None:
        await work.do("sweep")

    return v1, ops


async def post_item(
    api: httpx.AsyncClient, token: Token, name: str = "lamp", key: str | None = "k1", **more: Any
) -> httpx.Response:
    headers = {**token, **({} if key is None else {"Idempotency-Key": key})}
    return await api.post("/v1/items", headers=headers, json={"name": name}, **more)
