"""A read returns what its owner has. A read without an owner returns nothing, not even guests' data."""

import ast
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

import app
from app.access.audit_log import AuditRecordId
from app.access.ownership import Anybody, Owner
from app.documents import list_store, store
from app.documents.link_policy import policy_of
from app.ids import CustomerId, DocumentId, OrderId
from app.resources import Resources, open_resources
from tests.support.portal import settings_for

ORDER = OrderId("order-1")
ADA = CustomerId("ada")
# A value that only an untyped caller could pass: the type checker refuses it.
FORGOTTEN = cast(Any, None)


@pytest.fixture
async def resources(database_url: str) -> AsyncIterator[Resources]:
    async with open_resources(settings_for(database_url, "http://127.0.0.1:1")) as opened:
        yield opened


@pytest.fixture
async def document_ids(database: asyncpg.Connection) -> dict[str | None, DocumentId]:
    """One order's documents, of ada, of eve and of a guest, by their owner."""
    found = {}
    for owner in ("ada", "eve", None):
        found[owner] = await database.fetchval(
            """INSERT INTO document (file_id, order_id, customer_id, kind, file_name, created_at)
               VALUES ($1, $2, $3, 'invoice', 'f.pdf', now()) RETURNING id::text""",
            f"file of {owner}",
            ORDER,
            owner,
        )
        await database.execute(
            "INSERT INTO order_check (order_id, customer_id, invoice, credit_memo) VALUES ($1, $2, 'x', 'x')",
            f"order of {owner}",
            owner,
        )
    return found


async def seen(
    resources: Resources, owner: Owner, document_ids: dict[str | None, DocumentId]
) -> dict[str, set[str | None]]:
    """The owners of the rows that each statement finds for this owner."""
    policy = policy_of(resources.settings)
    listed = await list_store.list_documents(resources.hot_pool, policy, owner, limit=10)
    found = {
        whose: await store.find_document(resources.hot_pool, policy, owner, document_id)
        for whose, document_id in document_ids.items()
    }
    async with resources.engine.connect() as connection:
        checks = {
            whose: await store.find_order_check(connection, owner, OrderId(f"order of {whose}"))
            for whose in document_ids
        }
        kinds = await store.list_document_kinds(connection, owner, ORDER)
    return {
        "list": {one.customer_id for one in listed},
        "one": {whose for whose, one in found.items() if one is not None},
        "check": {whose for whose, one in checks.items() if one is not None},
        "kinds": set(kinds),
    }


async def test_a_customer_finds_their_own_data(
    resources: Resources, document_ids: dict[str | None, DocumentId]
) -> None:
    assert await seen(resources, ADA, document_ids) == {
        "list": {"ada"},
        "one": {"ada"},
        "check": {"ada"},
        "kinds": {"invoice"},
    }


async def test_a_customer_without_data_finds_nothing(
    resources: Resources, document_ids: dict[str | None, DocumentId]
) -> None:
    found = await seen(resources, CustomerId("mallory"), document_ids)
    assert not any(found.values())


async def test_support_finds_data_of_all_customers_and_guests(
    resources: Resources, document_ids: dict[str | None, DocumentId]
) -> None:
    everybodys = set(document_ids)
    found = await seen(resources, Anybody(resources.engine, AuditRecordId(1)), document_ids)
    assert found == {"list": everybodys, "one": everybodys, "check": everybodys, "kinds": {"invoice"}}


async def test_a_forgotten_owner_finds_nothing(
    resources: Resources, document_ids: dict[str | None, DocumentId]
) -> None:
    found = await seen(resources, FORGOTTEN, document_ids)
    assert not any(found.values())


def test_only_authorization_makes_an_anybody() -> None:
    root = Path(app.__file__).parent
    makers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == Anybody.__name__
    }
    assert makers == {"access/authorization.py"}
