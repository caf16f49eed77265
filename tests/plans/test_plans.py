"""At a million rows every statement of the product still touches a handful of pages, found by an index."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, get_args

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import audit_log
from app.access.audit_log import AuditRecordId
from app.access.ownership import Anybody
from app.db.schema import metadata
from app.documents import link_store as links
from app.documents import store as documents
from app.documents.link_policy import Link, LinkPolicy
from app.documents.store import NewDocument, Position
from app.idempotency import store as idempotency
from app.idempotency.fingerprint import Fingerprint
from app.ids import CustomerId, DocumentId, EventId, FileId, OrderId
from app.ops import retention, retention_store
from app.ops import store as ops
from app.ops.retention import BODY_RETENTION
from app.privacy import store as privacy
from app.resources import Resources, open_resources
from app.webhooks import inbox, ingest, sweep_log
from app.webhooks.inbox import State
from app.webhooks.ingest import NewEvent
from tests.plans.explained import Mode, Notebook, Plan, explain
from tests.plans.million import BACKLOG, MERCHANT, SHOPPER, TABLES, fill, key, suffer_outage
from tests.support.portal import settings_for

PAGE = 21
ORDER = OrderId("order-10")
FILE = FileId(f"file-{key('file999999')}")
DOCUMENT = DocumentId(str(uuid.UUID(key("document20"))))
MIDDLE = datetime.now(UTC) - timedelta(days=26)
LATER = datetime.now(UTC) + timedelta(days=9)
POLICY = LinkPolicy(("links.invalid",), "https://far.invalid", is_development=False)


@dataclass(frozen=True)
class Question:
    """Something that the product asks, the indexes that must answer it, and the most that each of its
    statements may cost: pages touched, and rows looked at."""

    ask: Callable[[Resources], Awaitable[object]]
    indexes: frozenset[str]
    pages: int
    rows: float


def question(
    ask: Callable[[Resources], Awaitable[object]], *indexes: str, pages: int = 130, rows: float = 4 * PAGE
) -> Question:
    return Question(ask, frozenset(indexes), pages, rows)


def told(
    ask: Callable[..., Awaitable[object]], *given: Any, **more: Any
) -> Callable[[Resources], Awaitable[object]]:
    """A function of a store that wants a connection, as a transaction of its own."""

    async def in_transaction(resources: Resources) -> None:
        async with resources.engine.begin() as connection:
            await ask(connection, *given, **more)

    return in_transaction


async def claim_and_finish(resources: Resources) -> None:
    async with resources.engine.begin() as connection:
        (held,) = await inbox.claim_events(connection, limit=1, lease=60)
    async with resources.engine.begin() as connection:
        await inbox.finish(connection, held)


async def claim_and_retry(resources: Resources) -> None:
    async with resources.engine.begin() as connection:
        (held,) = await inbox.claim_events(connection, limit=1, lease=60)
    async with resources.engine.begin() as connection:
        await inbox.retry(connection, held, delay=timedelta(0), error="not now")


async def answer_once(resources: Resources) -> None:
    name = key("an own request").encode()
    async with resources.engine.begin() as connection:
        held = await idempotency.claim_request(connection, name, CustomerId(SHOPPER))
    assert isinstance(held, idempotency.Claim)
    answer = idempotency.StoredResponse(Fingerprint(b"", 0, b""), 200, {}, b"")
    async with resources.engine.begin() as connection:
        await idempotency.store_response(connection, held, answer)


async def export_events(connection: AsyncConnection, customer_id: CustomerId) -> None:
    things = await documents.list_owned_ids(connection, customer_id)
    await privacy.list_held_events(connection, customer_id, things)


async def export_support_reads(connection: AsyncConnection, customer_id: CustomerId) -> None:
    things = await documents.list_owned_ids(connection, customer_id)
    await audit_log.list_records(connection, customer_id, things)


def listed(owner: str, **filters: Any) -> Callable[[Resources], Awaitable[object]]:
    owner_id = CustomerId(owner)
    return lambda resources: documents.list_documents(
        resources.hot_pool, POLICY, owner_id, limit=PAGE, **filters
    )


async def list_anybodys(resources: Resources) -> None:
    owner = Anybody(resources.engine, AuditRecordId(1))
    await documents.list_documents(resources.hot_pool, POLICY, owner, order_id=ORDER, limit=PAGE)


def events(
    state: State | None = None, event_type: str | None = None, *, is_first: bool = True, **order: str
) -> Callable[[Resources], Awaitable[object]]:
    after = None if is_first else (MIDDLE, "x")
    filters = {"order_id": None, **order}
    return told(ops.list_events, state=state, event_type=event_type, after=after, limit=PAGE, **filters)


def put(count: int) -> Callable[[Resources], Awaitable[object]]:
    arrived = [
        NewEvent(EventId(key(f"event{n}")), "t", "pending", ORDER, None, "{}")
        for n in range(999_000, 999_000 + 2 * count)
        if n % 2
    ]
    return lambda resources: ingest.insert_events(resources.hot_pool, arrived, "webhook")


INBOX: Mapping[str, Question] = {
    "claim and finish": question(claim_and_finish, "ix_webhook_event_due", "pk_webhook_event"),
    "claim and retry": question(claim_and_retry, "ix_webhook_event_due", "pk_webhook_event"),
    "claim twenty": question(told(inbox.claim_events, limit=20, lease=60), "ix_webhook_event_due", pages=900),
    "when is the next due": question(told(inbox.find_seconds_until_due), "ix_webhook_event_due"),
    # Five pages an event: to look for its id, and what the upsert's own checks read.
    "put a hundred": question(put(100), pages=700, rows=200),
    "oldest open": question(told(inbox.find_oldest_pending_age)),
    # A number that nobody keeps: it is counted, in an index.
    "count open": question(told(inbox.count_events, "pending"), pages=3000, rows=BACKLOG + 500),
    "count buried": question(told(inbox.count_events, "buried"), "ix_webhook_event_state"),
    "events": question(events(), "ix_webhook_event_received"),
    "events, next page": question(events(is_first=False), "ix_webhook_event_received"),
    "events of an order": question(events(order_id=ORDER), "ix_webhook_event_order_id"),
    "events of a frequent type": question(events(event_type="order.invoice.created")),
    "events of a rare type": question(events(event_type="order.rare"), "ix_webhook_event_type"),
    "events of no type": question(events(event_type="no.such", is_first=False), "ix_webhook_event_type"),
    "open events": question(events("pending")),
    "open events, next page": question(events("pending", is_first=False)),
    "done events": question(events("done")),
    "done events, next page": question(events("done", is_first=False)),
    "ignored events": question(events("ignored"), "ix_webhook_event_state"),
    "buried events": question(events("buried"), "ix_webhook_event_state"),
    "buried events of a type": question(
        events("buried", "order.credit_memo.created"), "ix_webhook_event_state"
    ),
    "one event": question(told(ops.find_event, EventId(key("event7"))), "pk_webhook_event"),
    "revive": question(
        told(inbox.revive_all, "order.invoice.created", ["order.invoice.created"], limit=20),
        "ix_webhook_event_state",
        "ix_webhook_event_due",
    ),
    "prune events": question(
        told(retention_store.delete_expired, retention_store.RETENTION_RULES[0], limit=retention.BATCH_SIZE),
        "ix_webhook_event_received",
        pages=8000,
        rows=3 * retention.BATCH_SIZE,
    ),
    # A row that changes is written anew, and so is its place in each index.
    "let go of bodies": question(
        told(inbox.delete_bodies, "done", BODY_RETENTION["done"], limit=retention.BATCH_SIZE),
        "ix_webhook_event_kept_body",
        pages=40_000,
        rows=3 * retention.BATCH_SIZE,
    ),
    "let go of bodies of what was ignored": question(
        told(inbox.delete_bodies, "ignored", BODY_RETENTION["ignored"], limit=retention.BATCH_SIZE),
        "ix_webhook_event_kept_body",
    ),
}

DOCUMENTS: Mapping[str, Question] = {
    f"{owner}'s {name}": question(listed(owner, **filters), "pk_file_link", index)
    for owner in (MERCHANT, SHOPPER)
    for name, filters, index in (
        ("documents", {}, "ix_document_customer"),
        ("documents, next page", {"after": Position(MIDDLE, DOCUMENT)}, "ix_document_customer"),
        ("credit memos", {"kind": "creditMemo"}, "ix_document_customer_kind"),
        (
            "credit memos, next page",
            {"kind": "creditMemo", "after": Position(MIDDLE, DOCUMENT)},
            "ix_document_customer_kind",
        ),
        ("documents of an order", {"order_id": ORDER}, "ix_document_order_id"),
        ("documents of no order", {"order_id": OrderId("none")}, "ix_document_order_id"),
        (
            "invoices of an order, next page",
            {"kind": "invoice", "order_id": ORDER, "after": Position(MIDDLE, DOCUMENT)},
            "ix_document_order_id",
        ),
    )
} | {
    "anybody's documents of an order": question(list_anybodys, "ix_document_order_id"),
    "one document": question(
        lambda resources: documents.find_document(resources.hot_pool, POLICY, CustomerId(MERCHANT), DOCUMENT),
        "pk_document",
    ),
    "keep a document": question(
        told(
            documents.upsert_document,
            NewDocument(FILE, ORDER, CustomerId(SHOPPER), "invoice", "invoice.pdf", MIDDLE),
        )
    ),
    "keep a link": question(told(links.upsert_link, FILE, Link("id", "https://links.invalid/1", LATER))),
    "a usable link": question(told(links.find_usable_link, POLICY, FILE), "pk_file_link"),
    "a refused link": question(told(links.find_recent_refusal, FILE)),
    "keep a refusal": question(told(links.upsert_refusal, FILE, "host")),
    "kinds of an order": question(
        told(documents.list_document_kinds, CustomerId(SHOPPER), ORDER), "ix_document_order_id"
    ),
    "files of an order": question(
        told(documents.list_known_file_ids, ORDER, is_guest_order=False), "ix_document_order_id"
    ),
    "what is known of an order": question(
        told(documents.find_order_check, CustomerId(SHOPPER), ORDER), "pk_order_check"
    ),
    "an order that was not there": question(
        told(documents.is_order_absent, CustomerId(SHOPPER), ORDER, within=timedelta(seconds=15)),
        "pk_order_absence",
    ),
    "keep that an order was not there": question(
        told(documents.upsert_order_absence, CustomerId(SHOPPER), ORDER)
    ),
    "keep what is known of an order": question(
        told(documents.upsert_order_check, ORDER, customer_id=None, invoice="ready", credit_memo="notIssued")
    ),
    "the export of a shopper": question(
        told(export_support_reads, CustomerId(SHOPPER)), "ix_order_check_customer_id", "ix_audit_record_order"
    ),
    "the events of a shopper": question(
        told(export_events, CustomerId(SHOPPER)),
        "ix_webhook_event_order_id",
        "ix_webhook_event_state",
        pages=400,
    ),
    "whose an order is": question(told(documents.find_order_owner, ORDER), "pk_order_check"),
    # As much as there is to export: fifty thousand documents and their orders.
    "all things of a merchant": question(
        told(documents.list_owned_ids, CustomerId(MERCHANT)),
        "ix_order_check_customer_id",
        pages=40_000,
        rows=160_000,
    ),
}

# In the order of a digest, each row of a batch is on another page.
SCATTERED = dict.fromkeys(("rate_bucket", "order_absence", "link_refusal"), 11 * retention.BATCH_SIZE)

AROUND: Mapping[str, Question] = {
    f"prune {what.table.name}": question(
        told(retention_store.delete_expired, what, limit=retention.BATCH_SIZE),
        pages=SCATTERED.get(what.table.name, 8000),
        rows=7 * retention.BATCH_SIZE,
    )
    for what in retention_store.RETENTION_RULES[1:]
} | {
    "answer once": question(
        answer_once, "pk_idempotent_request", "ix_idempotent_request_valid_until", pages=300
    ),
    "forget answers": question(
        told(idempotency.delete_responses, CustomerId(SHOPPER)),
        "ix_idempotent_request_customer_id",
    ),
    "keep an audit record": question(
        told(
            audit_log.insert_record,
            subject="support",
            customer_id=CustomerId(SHOPPER),
            operation="GET /v1/orders",
            path_ids={},
            request_id="request",
        )
    ),
    "requests to be forgotten": question(
        told(privacy.list_all_forget_requests, before=9000, limit=PAGE),
        "pk_forget_request",
    ),
    "a customer's requests to be forgotten": question(
        told(privacy.list_forget_requests, CustomerId(SHOPPER)),
        "ix_forget_request_customer_id",
    ),
    "a page of a customer's requests to be forgotten": question(
        told(privacy.list_forget_requests, CustomerId(SHOPPER), before=9000, limit=PAGE),
        "ix_forget_request_customer_id",
    ),
    "a lease": question(lambda resources: resources.leases.claim("any", uuid.uuid4(), 5)),
    # Forty-five days of sweeps are few rows, and read whole.
    "what sweeps remember": question(told(sweep_log.load_state), rows=7000),
    "the last sweep": question(told(sweep_log.find_last_sweep), rows=7000),
    "swept lately": question(told(sweep_log.count_found, within=timedelta(days=1)), rows=7000),
    "ask for a sweep": question(told(sweep_log.request_sweep, None), rows=7000),
    "clear up sweeps": question(told(sweep_log.close_abandoned_sweeps), rows=7000),
}


@pytest.fixture
def own_database_url(new_database_url: str) -> str:
    """These tests change its settings, and fill it with a million rows."""
    return new_database_url


@pytest.fixture
async def full_database_url(own_database_url: str, own_database: asyncpg.Connection) -> str:
    """As production sees it: without the tests' clock in the way of the planner."""
    name = await own_database.fetchval("SELECT current_database()")
    await own_database.execute(f'ALTER DATABASE "{name}" SET search_path = public')
    await fill(own_database_url)
    return own_database_url


@pytest.fixture
async def looking(full_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(full_database_url, statement_cache_size=0)
    yield connection
    await connection.close()


# One test, because its database takes seconds to fill and the processes of a test run share none.
@pytest.mark.proof
@pytest.mark.timeout(180)
async def test_every_statement_keeps_its_index_at_a_million_rows(
    full_database_url: str, looking: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    settings = settings_for(full_database_url, "http://127.0.0.1:1")
    async with open_resources(settings) as opened, opened.hot_pool.acquire() as connection:
        notebook = Notebook(connection)
        look = partial(check, notebook, notebook.listen(opened), looking)
        for name, asked in {**INBOX, **DOCUMENTS, **AROUND}.items():
            with subtests.test(name):
                await look(asked)
        with subtests.test("prune events, the twentieth batch"):
            for _ in range(19):
                await INBOX["prune events"].ask(opened)
            await look(INBOX["prune events"])
        await suffer_outage(looking)
        for name, asked in INBOX.items():
            with subtests.test(f"{name}, after an outage"):
                await look(asked)


async def check(
    notebook: Notebook, resources: Resources, looking: asyncpg.Connection, asked: Question
) -> None:
    """Ask, and look at the plan of each statement: the one for its values, and the one for any values."""
    statements = await notebook.statements_of(partial(asked.ask, resources))
    assert statements
    for mode in get_args(Mode):
        used: set[str] = set()
        for statement in statements:
            plan = await explain(looking, statement, mode)
            what = f"{mode}: {plan}, for {statement.text}"
            assert not (plan.tables_read_whole - {"sweep"}), what
            assert plan.buffers <= asked.pages, what
            assert plan.rows_read <= asked.rows, what
            assert plan.rows_sorted <= asked.rows, what
            used |= plan.indexes
        assert asked.indexes <= used, f"{mode}: {sorted(used)}"


def test_every_table_that_grows_is_full_when_it_is_looked_at() -> None:
    """A plan over an empty table proves nothing; a new table is filled in `million.py`, or named here."""
    of_what_is_under_way = {"lease", "tax_identifier_replacement", "certificate_upload"}
    assert metadata.tables.keys() - TABLES == of_what_is_under_way


def test_a_plan_tells_of_tables_that_are_read_whole() -> None:
    scan = {
        "Node Type": "Parallel Seq Scan",
        "Relation Name": "document",
        "Actual Rows": 1,
        "Actual Loops": 2,
    }
    assert Plan(({**scan, "Rows Removed by Filter": 9},)).tables_read_whole == {"document"}
    assert Plan(({**scan, "Rows Removed by Filter": 9},)).rows_read == 20
