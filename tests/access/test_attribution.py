"""The export of a customer lists every support read about that customer, also after retention has run."""

import asyncio

import asyncpg
import pytest
from fastapi import APIRouter
from structlog.testing import capture_logs

from app.access.authorization import RequiredOwner
from app.access.ownership import Anybody, Owner
from app.ids import CustomerId
from app.settings import Settings
from app.web.id_types import OrderPath
from app.web.routing import StrictRoute
from tests.db.test_migrations import MigratedDatabase, migrated
from tests.security.matrix import ENTRIES
from tests.support.portal import Portal, settings_for
from tests.support.route_app import client_of_routes
from tests.support.sandbox import Json, Sandbox

__all__ = ["migrated"]

Token = dict[str, str]

v1 = APIRouter(prefix="/v1", route_class=StrictRoute)
READS: list[str] = []


async def attribute(owner: Owner, customer_id: CustomerId | None) -> None:
    assert isinstance(owner, Anybody)
    await owner.attribute(customer_id)


@v1.get("/orders/{orderId}")
async def attributed(owner: RequiredOwner, order_id: OrderPath) -> str:
    READS.append(order_id)
    await attribute(owner, CustomerId("ada"))
    return "ada's secret"


@v1.get("/orders/{orderId}/tracking")
async def forgetful(owner: RequiredOwner, order_id: OrderPath) -> str:
    return "ada's secret"


@v1.get("/orders/{orderId}/refunds")
async def of_a_guest(owner: RequiredOwner, order_id: OrderPath) -> str:
    await attribute(owner, None)
    return "a guest's secret"


@pytest.fixture
def settings(database_url: str, sandbox: Sandbox) -> Settings:
    return settings_for(database_url, sandbox.url, database_pool=2)


@pytest.fixture
async def support(sandbox: Sandbox) -> Token:
    return await sandbox.token("agent-7", scopes=["portal:support"])


async def support_reads(portal: Portal, sandbox: Sandbox, customer_id: str) -> list[str]:
    token = await sandbox.token(customer_id)
    export = (await portal.get("/v1/customers/me/export", token)).raise_for_status().json()
    return [read["operation"] for read in export["supportReads"]]


async def an_invoiced_order(portal: Portal, sandbox: Sandbox) -> tuple[Json, Json]:
    ada = await sandbox.token("ada")
    order = await sandbox.order("ada")
    await sandbox.invoiced(order)
    (document,) = await portal.documents(ada, 1)
    return order, document


BY_ORDER = ["/v1/orders/{}", "/v1/orders/{}/tracking", "/v1/orders/{}/refunds", "/v1/orders/{}/documents"]
BY_DOCUMENT = ["/v1/documents/{}", "/v1/documents/{}/content"]


def test_every_read_of_a_resource_by_its_id_is_listed_here() -> None:
    gets = {route.removeprefix("GET ") for route in ENTRIES if route.startswith("GET ")}
    by_own_id = {path for path in gets if "{orderId}" in path or "{documentId}" in path}
    assert by_own_id == {
        *(path.format("{orderId}") for path in BY_ORDER),
        *(path.format("{documentId}") for path in BY_DOCUMENT),
    }


async def test_every_read_by_id_is_attributed_to_the_owner_after_retention(
    portal: Portal, sandbox: Sandbox, support: Token, database: asyncpg.Connection
) -> None:
    order, document = await an_invoiced_order(portal, sandbox)
    paths = [path.format(order["id"]) for path in BY_ORDER]
    paths += [path.format(document["id"]) for path in BY_DOCUMENT]
    for path in paths:
        answer = await portal.get(path, support)
        assert answer.status_code in {200, 303}, path
    await database.execute("DELETE FROM order_check; DELETE FROM file_link; DELETE FROM document")
    seen = await support_reads(portal, sandbox, "ada")
    assert len(seen) == len(paths)
    assert await support_reads(portal, sandbox, "eve") == []


@pytest.mark.proof
@pytest.mark.parametrize(
    "spelling", [str.upper, "{{{}}}".format, "urn:uuid:{}".format, lambda one: one.replace("-", "")]
)
async def test_a_read_is_attributed_in_every_spelling_of_the_document_id(
    spelling: type[str], portal: Portal, sandbox: Sandbox, support: Token, database: asyncpg.Connection
) -> None:
    _, document = await an_invoiced_order(portal, sandbox)
    for path in BY_DOCUMENT:
        answer = await portal.get(path.format(spelling(document["id"])), support)
        assert answer.status_code in {200, 303}
    assert len(await support_reads(portal, sandbox, "ada")) == 2
    ids = await database.fetch("SELECT path_ids ->> 'documentId' AS id FROM audit_record")
    assert {row["id"] for row in ids} == {document["id"]}


async def test_a_read_that_ends_as_not_modified_is_attributed_too(
    portal: Portal, sandbox: Sandbox, support: Token, database: asyncpg.Connection
) -> None:
    _, document = await an_invoiced_order(portal, sandbox)
    path = f"/v1/documents/{document['id']}"
    tag = (await portal.get(path, support)).headers["ETag"]
    again = await portal.client.get(path, headers={**support, "If-None-Match": tag})
    assert again.status_code == 304
    assert len(await support_reads(portal, sandbox, "ada")) == 2


async def test_a_read_of_a_guests_order_belongs_to_no_customer(
    portal: Portal, sandbox: Sandbox, support: Token, database: asyncpg.Connection
) -> None:
    order = await sandbox.order(None)
    assert (await portal.get(f"/v1/orders/{order['id']}/refunds", support)).status_code == 200
    assert await database.fetchval("SELECT count(*) FROM audit_record WHERE customer_id IS NULL") == 1


async def test_a_read_without_attribution_gets_no_answer(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    async with client_of_routes(settings, v1) as api:
        # To print the trace of a mistake takes longer than everything else here.
        with capture_logs():
            answer = await api.get("/v1/orders/17/tracking", headers=support)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert (await api.get("/v1/orders/17/refunds", headers=support)).status_code == 200
        assert (await api.get("/v1/orders/17", headers=support)).status_code == 200
    assert [row["customer_id"] for row in await database.fetch("SELECT * FROM audit_record ORDER BY id")] == [
        None,
        None,
        "ada",
    ]


async def test_a_read_that_cannot_be_attributed_gets_no_answer(
    settings: Settings, support: Token, database: asyncpg.Connection
) -> None:
    """The record is written, but another transaction locks it before it is completed."""
    READS.clear()
    await database.execute(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'the disk is full'; END $$;
           CREATE TRIGGER refuse BEFORE UPDATE ON audit_record FOR EACH ROW EXECUTE FUNCTION refuse()"""
    )
    try:
        async with client_of_routes(settings, v1) as api:
            with capture_logs():
                answer = await api.get("/v1/orders/17", headers=support)
        assert READS == ["17"]
        assert answer.status_code >= 500
        assert "secret" not in answer.text
    finally:
        await database.execute("DROP TRIGGER refuse ON audit_record; DROP FUNCTION refuse()")


async def test_reads_at_the_same_time_are_not_mixed_up(
    portal: Portal, sandbox: Sandbox, support: Token, database: asyncpg.Connection
) -> None:
    orders = [await sandbox.order(name) for name in ("ada", "eve", "ada", "eve")]
    asked = (portal.get(f"/v1/orders/{order['id']}/refunds", support) for order in orders)
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
    rows = await database.fetch("SELECT customer_id, path_ids ->> 'orderId' AS order_id FROM audit_record")
    assert {(row["order_id"], row["customer_id"]) for row in rows} == {
        (order["id"], order["customerId"]) for order in orders
    }


_OLD = "INSERT INTO audit_record (subject, operation, path_ids, request_id) VALUES ('s', 'GET', $1, 'r')"


async def test_older_records_are_attributed_while_their_owner_is_known(
    migrated: MigratedDatabase,
) -> None:
    await migrated.upgrade("0006")
    document_id = await migrated.connection.fetchval(
        """INSERT INTO document (file_id, order_id, customer_id, kind, file_name, created_at)
           VALUES ('f', 'o1', 'ada', 'invoice', 'f.pdf', now()) RETURNING id::text"""
    )
    await migrated.connection.execute(
        "INSERT INTO order_check (order_id, customer_id, invoice, credit_memo) VALUES ('o2', 'eve', 'x', 'x')"
    )
    spellings = [document_id.upper(), f"%7B{document_id}%7D", f"urn:uuid:{document_id}", "not-a-uuid"]
    for one in spellings:
        await migrated.connection.execute(_OLD, f'{{"documentId": "{one}"}}')
    for one in ("o1", "o2", "o3"):
        await migrated.connection.execute(_OLD, f'{{"orderId": "{one}"}}')
    await migrated.upgrade("0010")
    rows = await migrated.connection.fetch("SELECT customer_id FROM audit_record ORDER BY id")
    assert [row["customer_id"] for row in rows] == ["ada", "ada", "ada", None, "ada", "eve", None]
