"""Support may read everything, and each support read is recorded first. Buyers read only their own data."""

import json
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import APIRouter
from pydantic import SecretStr

from app.access import audit_log
from app.access.authorization import ListedCustomer, OwnCustomer, ReadableCustomer, RequiredOwner
from app.access.ownership import Anybody
from app.ids import CustomerId
from app.resources import open_resources
from app.settings import Settings
from app.web.id_types import OrderPath
from app.web.problems import NotFound
from app.web.routing import StrictRoute
from tests.support.clock import eventually
from tests.support.portal import Portal, settings_for
from tests.support.route_app import client_of_routes
from tests.support.sandbox import Json, Sandbox

Token = dict[str, str]

v1 = APIRouter(prefix="/v1", route_class=StrictRoute)


@v1.get("/customers/{customerId}")
async def read(customer_id: ReadableCustomer) -> str:
    return customer_id


@v1.put("/customers/{customerId}")
async def write(customer_id: OwnCustomer) -> str:
    return customer_id


@v1.get("/orders/{orderId}")
async def order(owner: RequiredOwner, order_id: OrderPath) -> str:
    if order_id == "none":
        raise NotFound
    if not isinstance(owner, Anybody):
        return owner
    await owner.attribute(None)
    return "anybody"


@v1.get("/orders")
async def orders(customer_id: ListedCustomer) -> str:
    return customer_id


@pytest.fixture
def settings(database_url: str, sandbox: Sandbox) -> Settings:
    return settings_for(database_url, sandbox.url, database_pool=2)


@pytest.fixture
async def ada(sandbox: Sandbox) -> Token:
    return await sandbox.token("ada")


@pytest.fixture
async def support(sandbox: Sandbox) -> Token:
    return await sandbox.token("agent-7", scopes=["portal:support"])


async def records(database: asyncpg.Connection) -> list[Json]:
    rows = await database.fetch("SELECT * FROM audit_record ORDER BY id")
    return [{**row, "path_ids": json.loads(row["path_ids"])} for row in rows]


async def ask(settings: Settings, token: Token, path: str, method: str = "GET") -> httpx.Response:
    async with client_of_routes(settings, v1) as api:
        return await api.request(method, path, headers={**token, "X-Request-ID": "request-1"})


_OWN: list[tuple[str, str, int, Any]] = [
    ("GET", "/v1/customers/me", 200, "ada"),
    ("GET", "/v1/customers/ada", 200, "ada"),
    ("GET", "/v1/customers/grace", 404, None),
    ("PUT", "/v1/customers/me", 200, "ada"),
    ("PUT", "/v1/customers/ada", 200, "ada"),
    ("PUT", "/v1/customers/grace", 404, None),
    ("GET", "/v1/orders/17", 200, "ada"),
    ("GET", "/v1/orders", 200, "ada"),
    ("GET", "/v1/orders?customerId=grace", 422, None),
    ("GET", "/v1/orders?customerId=ada", 422, None),
]


@pytest.mark.parametrize(("method", "path", "status", "seen"), _OWN)
async def test_a_buyer_reads_their_own_data(
    method: str,
    path: str,
    status: int,
    seen: Any,
    settings: Settings,
    ada: Token,
    database: asyncpg.Connection,
) -> None:
    answer = await ask(settings, ada, path, method)
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == seen
    assert await records(database) == []


_SUPPORT: list[tuple[str, Any, Json]] = [
    (
        "/v1/customers/grace",
        "grace",
        {
            "customer_id": "grace",
            "operation": "GET /v1/customers/{customerId}",
            "path_ids": {"customerId": "grace"},
        },
    ),
    (
        "/v1/orders/17",
        "anybody",
        {"customer_id": None, "operation": "GET /v1/orders/{orderId}", "path_ids": {"orderId": "17"}},
    ),
    (
        "/v1/orders?customerId=grace",
        "grace",
        {"customer_id": "grace", "operation": "GET /v1/orders", "path_ids": {}},
    ),
]


@pytest.mark.parametrize(("path", "seen", "recorded"), _SUPPORT)
async def test_support_reads_any_customers_data_and_leaves_a_record(
    path: str, seen: Any, recorded: Json, settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    answer = await ask(settings, support, path)
    assert (answer.status_code, answer.json()) == (200, seen)
    (record,) = await records(database)
    assert {name: record[name] for name in recorded} == recorded
    assert (record["subject"], record["request_id"]) == ("agent-7", "request-1")
    assert await database.fetchval("SELECT now() - $1 < interval '1 minute'", record["at"])


async def test_customers_see_the_support_reads_in_their_export(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    for path in (
        "/v1/customers/grace",
        "/v1/customers/ada",
        "/v1/orders?customerId=grace",
        "/v1/orders/of-grace",
        "/v1/orders/of-ada",
    ):
        await ask(settings, support, path)
    async with open_resources(settings) as resources, resources.engine.connect() as connection:
        reads = await audit_log.list_records(connection, CustomerId("grace"), {"of-grace"})
    assert [read["operation"] for read in reads] == [
        "GET /v1/orders/{orderId}",
        "GET /v1/orders",
        "GET /v1/customers/{customerId}",
    ]
    assert "agent-7" not in str(reads)


async def test_customers_with_more_ids_than_a_statement_takes_values_see_them_too(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    await ask(settings, support, "/v1/orders/17")
    things = {str(number) for number in range(40_000)}
    async with open_resources(settings) as resources, resources.engine.connect() as connection:
        (read,) = await audit_log.list_records(connection, CustomerId("grace"), things)
    assert read["operation"] == "GET /v1/orders/{orderId}"


@pytest.mark.parametrize("subject", ["a\0b", "a\nb", " agent-7"])
async def test_an_agent_whose_name_cannot_be_recorded_is_refused(
    settings: Settings, sandbox: Sandbox, subject: str, database: asyncpg.Connection
) -> None:
    token = await sandbox.token(subject, scopes=["portal:support"])
    for path, _, _ in _SUPPORT:
        answer = await ask(settings, token, path)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (
            401,
            'Bearer error="invalid_token"',
        )
    assert await records(database) == []


async def test_a_read_that_finds_nothing_is_recorded_too(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    assert (await ask(settings, support, "/v1/orders/none")).status_code == 404
    assert [record["path_ids"] for record in await records(database)] == [{"orderId": "none"}]


async def test_support_must_name_the_customer_of_a_list(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    answer = await ask(settings, support, "/v1/orders")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/customerId"]
    assert await records(database) == []


async def test_support_writes_nothing_at_all(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    assert (await ask(settings, support, "/v1/customers/grace", "PUT")).status_code == 404
    assert (await ask(settings, support, "/v1/customers/me", "PUT")).status_code == 403
    assert await records(database) == []


async def test_support_as_a_customer_leaves_no_record(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    for path in ("/v1/customers/me", "/v1/customers/agent-7", "/v1/orders?customerId=me"):
        assert (await ask(settings, support, path)).json() == "agent-7"
    assert await records(database) == []


async def test_a_record_can_be_kept_of_any_path(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    for strange in ("a%00b", "%ED%A0%80", "x" * 5000):
        assert (await ask(settings, support, f"/v1/orders/{strange}")).status_code == 422
    assert [len(record["path_ids"]["orderId"]) for record in await records(database)][-1] == 300


async def test_no_answer_without_a_record(settings: Settings, support: Token, ada: Token) -> None:
    nowhere = settings.model_copy(update={"database_url": SecretStr("postgresql://x:x@127.0.0.1:1/x")})
    for path, _, _ in _SUPPORT:
        answer = await ask(nowhere, support, path)
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
    assert (await ask(nowhere, ada, "/v1/customers/me")).status_code == 200


async def linked(database: asyncpg.Connection, order: Json) -> None:
    """Wait until the event of the order's invoice has been handled."""

    async def is_done() -> bool:
        done = "SELECT count(*) FROM webhook_event WHERE order_id = $1 AND state = 'done'"
        return bool(await database.fetchval(done, order["id"]))

    await eventually(is_done)


async def test_support_reads_documents_of_buyers_and_of_guests(
    portal: Portal, sandbox: Sandbox, support: Token, database: asyncpg.Connection
) -> None:
    ada = await sandbox.token("ada")
    for customer_id in ("ada", None):
        order = await sandbox.order(customer_id)
        await sandbox.invoiced(order)
        await linked(database, order)
        (document,) = (await portal.get(f"/v1/orders/{order['id']}/documents", support)).json()["data"]
        assert (await portal.get(f"/v1/documents/{document['id']}", support)).json() == document
        content = await portal.get(f"/v1/documents/{document['id']}/content", support)
        assert (content.status_code, content.headers["Location"]) == (303, document["link"]["url"])
    listed = (await portal.get("/v1/documents", support, customerId="ada")).json()
    assert listed == (await portal.get("/v1/documents", ada)).json()
    assert len(listed["data"]) == 1
    assert len(await records(database)) == 7
    assert (await portal.get("/v1/orders/999999999999/documents", support)).status_code == 404
    assert len(await records(database)) == 8


async def test_only_support_reads_documents_of_guests(
    portal: Portal, sandbox: Sandbox, support: Token, database: asyncpg.Connection
) -> None:
    order = await sandbox.order(None)
    await sandbox.invoiced(order)
    await linked(database, order)
    (document,) = (await portal.get(f"/v1/orders/{order['id']}/documents", support)).json()["data"]
    ada = await sandbox.token("ada")
    for path in (f"/v1/documents/{document['id']}", f"/v1/orders/{order['id']}/documents"):
        assert (await portal.get(path, ada)).status_code == 404
    assert (await portal.get("/v1/documents", ada)).json()["data"] == []
