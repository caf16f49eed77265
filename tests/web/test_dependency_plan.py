"""A route with a plan behaves as FastAPI's own: the same calls once each, the same refusals, the same end."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute

from app.main import ROUTERS
from app.web import setup
from app.web.dependency_plan import DependencyPlan
from app.web.problems import Forbidden
from app.web.routing import StrictRoute
from tests.web.small_app import settings

CALLS: list[str] = []


async def first(request: Request, number: Annotated[int, Query(ge=1)] = 7) -> int:
    CALLS.append("first")
    return number


async def second(number: Annotated[int, Depends(first)]) -> str:
    CALLS.append("second")
    return f"second of {number}"


async def held(number: Annotated[int, Depends(first)]) -> AsyncIterator[int]:
    CALLS.append("enter")
    yield number
    CALLS.append("leave")
    if number == 13:
        raise LookupError("13")


async def refuse() -> None:
    raise Forbidden("nobody")


Second = Annotated[str, Depends(second)]
Held = Annotated[int, Depends(held, scope="function")]
Item = Annotated[UUID, Path(alias="itemId")]


def routes(route_class: type[APIRoute]) -> APIRouter:
    router = APIRouter(route_class=route_class)

    @router.get("/items/{itemId}")
    async def show(
        text: Second, number: Held, item_id: Item, word: Annotated[str | None, Query(max_length=3)] = None
    ) -> dict[str, Any]:
        CALLS.append("endpoint")
        return {"text": text, "number": number, "item": item_id, "word": word}

    @router.get("/answers/{itemId}", status_code=202)
    async def answer(text: Second, item_id: Item) -> Response:
        CALLS.append("endpoint")
        return Response(f"{text} {item_id}", status_code=203)

    return router


def client_of(app: FastAPI) -> httpx.AsyncClient:
    setup.install(app, settings())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://portal.test")


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


async def observe(route_class: type[APIRoute], path: str) -> tuple[int, Any, list[str]]:
    """Status, body and calls of one request."""
    CALLS.clear()
    app = FastAPI()
    app.router.routes.extend(routes(route_class).routes)
    async with client_of(app) as client:
        response = await client.get(path, headers={"X-Request-ID": "the-same"})
    return response.status_code, response.content, CALLS.copy()


ITEM = "0b4bb1a7-0d0a-4b0e-9a53-6f1f6f0f5a11"


@pytest.mark.parametrize(
    "path",
    [
        f"/items/{ITEM}",
        f"/items/{ITEM.upper()}?number=3&word=abc",
        f"/items/{ITEM}?number=13",
        f"/items/{ITEM}?number=0",
        f"/items/{ITEM}?number=three&word=abcd",
        "/items/none?number=0",
        f"/answers/{ITEM}?number=4",
        "/answers/none",
    ],
)
async def test_a_plan_makes_the_same_calls_and_gives_the_same_answer(path: str) -> None:
    assert await observe(StrictRoute, path) == await observe(APIRoute, path)


async def test_a_dependency_of_two_others_is_called_once_and_a_generator_ends_after_the_endpoint() -> None:
    _, _, calls = await observe(StrictRoute, f"/items/{ITEM}")
    assert calls == ["first", "second", "enter", "endpoint", "leave"]


async def test_an_error_behind_the_yield_is_the_answer() -> None:
    status, _, calls = await observe(StrictRoute, f"/items/{ITEM}?number=13")
    assert (status, calls[-1]) == (500, "leave")


async def test_the_dependencies_of_an_including_router_are_kept() -> None:
    app = FastAPI()
    app.include_router(routes(StrictRoute), prefix="/inner", dependencies=[Depends(refuse)])
    async with client_of(app) as client:
        assert (await client.get(f"/inner/items/{ITEM}")).status_code == 403
    assert "endpoint" not in CALLS


async def in_thread_pool(word: str = "") -> str:
    return word


@pytest.mark.parametrize(
    "parameter",
    [
        Annotated[str, Header()],
        Annotated[list[str], Query()],
        Annotated[str, Query(default_factory=str)],
        Annotated[str, Depends(lambda: "a thread runs this")],
        Annotated[str, Depends(in_thread_pool, use_cache=False)],
        Annotated[int, Depends(held)],
        Response,
    ],
)
def test_what_a_plan_does_not_cover_is_left_to_fastapi(parameter: Any) -> None:
    async def endpoint(given) -> None:  # type: ignore[no-untyped-def]
        """No plan is found, so nothing calls it."""

    endpoint.__annotations__["given"] = parameter
    assert DependencyPlan.find(APIRoute("/", endpoint).dependant) is None


def test_every_route_that_reads_has_a_plan() -> None:
    """Without one a route is correct and slower: see the module for what a plan covers."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, StrictRoute)]
    reads = [route for route in routes if route.methods == {"GET"}]
    assert len(reads) > 15
    assert [route.path for route in reads if DependencyPlan.find(route.dependant) is None] == []
