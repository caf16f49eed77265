"""A small app behind the real middleware of `app.web`, with one route for each case that the tests need."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response
from pydantic import ConfigDict, SecretStr
from starlette.responses import StreamingResponse

from app.ids import OrderId
from app.settings import Settings
from app.web import setup
from app.web.api_model import ApiModel, Instant, Money
from app.web.etags import NOT_MODIFIED, conditional_response, require_match
from app.web.id_types import ID, OrderPath
from app.web.paging import Page, decode_cursor, encode_cursor
from app.web.paging_query import DEFAULT_LIMIT, Cursor, Limit
from app.web.problems import Conflict, NotFound, PreconditionFailed, PreconditionRequired, responses
from app.web.routing import StrictRoute


class Address(ApiModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"postalCode": "50667", "country": "DE"}]})

    postal_code: str
    country: str


class Profile(ApiModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"fullName": "Ada", "shipping": None, "ships": [], "pickUp": None}]}
    )

    full_name: str
    shipping: Address | None = None
    ships: tuple[Address, ...] = ()
    pick_up: Address | str | None = None


class Invoice(ApiModel):
    total: Money
    created_at: Instant


class Position(ApiModel):
    after: str
    number: int


class RouteState:
    """What the routes below raise or show next."""

    def __init__(self) -> None:
        self.error: BaseException = NotFound()
        self.profile = Profile(full_name="Ada")


def settings(**changes: object) -> Settings:
    values: dict[str, object] = {
        "environment": "development",
        "digital_river_secret_key": SecretStr("sk_test_web"),
        "webhook_secrets": (SecretStr("a-secret-of-the-tests"),),
        "oidc_issuer": "http://issuer.test",
        "oidc_audience": "portal",
    }
    return Settings.model_validate(values | changes)


v1 = APIRouter(prefix="/v1", route_class=StrictRoute)


@v1.get("/raise")
async def fail(request: Request) -> None:
    raise request.app.state.route_state.error


@v1.get("/break")
async def break_off() -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("after the answer began")

    return StreamingResponse(chunks())


@v1.get("/profile", response_model=Profile, responses=NOT_MODIFIED)
async def show(request: Request) -> Response:
    return conditional_response(request, request.app.state.route_state.profile)


@v1.patch("/profile", responses=responses(PreconditionFailed, PreconditionRequired))
async def change(request: Request, changed: Profile) -> Profile:
    require_match(request, request.app.state.route_state.profile)
    request.app.state.route_state.profile = changed
    return changed


@v1.post("/profile", responses=responses(Conflict))
async def create(profile: Profile) -> Profile:
    return profile


@v1.post("/invoices")
async def issue(invoice: Invoice) -> Invoice:
    return invoice


@v1.get("/orders/{orderId}", responses=responses(NotFound))
async def order(order_id: OrderPath) -> Page[str]:
    return Page(data=[order_id])


@v1.get("/orders")
async def orders(
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    order_id: Annotated[OrderId | None, ID, Query(alias="orderId")] = None,
) -> Page[str]:
    position = decode_cursor(cursor, Position) if cursor else Position(after="", number=0)
    following = Position(after=order_id or "", number=position.number + limit)
    return Page(data=[str(position.number)], next_cursor=encode_cursor(following))


webhooks = APIRouter()


@webhooks.post("/webhooks/raw")
async def count(request: Request) -> int:
    return len(await request.body())


def build(route_state: RouteState, chosen: Settings) -> FastAPI:
    app = FastAPI(title="Small", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.route_state = route_state
    app.include_router(v1)
    app.include_router(webhooks)
    setup.install(app, chosen)
    return app
