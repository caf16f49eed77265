"""Each statement of the product with the indexes it must use and the most it may cost at a million rows."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import audit_log
from app.access.audit_log import AuditRecordId
from app.access.ownership import Anybody
from app.documents import link_store as links
from app.documents import list_store
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
from app.resources import Resources
from app.webhooks import inbox, ingest, revival, sweep_log
from app.webhooks.inbox import State
from app.webhooks.ingest import NewEvent
from tests.plans.large_database import BACKLOG, LARGE_CUSTOMER, SMALL_CUSTOMER, key

PAGE = 21
ORDER = OrderId("order-10")
FILE = FileId(f"file-{key('file999999')}")
DOCUMENT = DocumentId(str(uuid.UUID(key("document20"))))
MIDDLE = datetime.now(UTC) - timedelta(days=26)
LATER = datetime.now(UTC) + timedelta(days=9)
POLICY = LinkPolicy(("links.invalid",), "https://far.invalid", is_development=False)


@dataclass(frozen=True)
class Expectation:
    """A call of the product, the indexes that it must use, and the most that each of its
    statements may cost: pages touched, and rows looked at."""

    call: Callable[[Resources], Awaitable[object]]
    indexes: frozenset[str]
    pages: int
    rows: float


def expect(
    call: Callable[[Resources], Awaitable[object]], *indexes: str, pages: int = 130, rows: float = 4 * PAGE
) -> Expectation:
    return Expectation(call, frozenset(indexes), pages, rows)


def with_connection(
    call: Callable[..., Awaitable[object]], *given: Any, **more: Any
) -> Callable[[Resources], Awaitable[object]]:
    """Run a store function that takes a connection, in a transaction of its own."""

    async def in_transaction(resources: Resources) -> None:
        async with resources.engine.begin() as connection:
            await call(connection, *given, **more)

    return in_transaction


async def claim_and_finish(resources: Resources, *, limit: int = 1) -> None:
    async with resources.engine.begin() as connection:
        held = await inbox.claim_events(connection, limit=limit, lease=60)
    async with resources.engine.begin() as connection:
        assert await inbox.finish_events(connection, held) == {*held}


async def claim_and_retry(resources: Resources) -> None:
    async with resources.engine.begin() as connection:
        (held,) = await inbox.claim_events(connection, limit=1, lease=60)
    async with resources.engine.begin() as connection:
        await inbox.retry(connection, held, delay=timedelta(0), error="not now")


async def claim_and_store_response(resources: Resources) -> None:
    name = key("an own request").encode()
    async with resources.engine.begin() as connection:
        held = await idempotency.claim_request(connection, name, CustomerId(SMALL_CUSTOMER))
    assert isinstance(held, idempotency.Claim)
    answer = idempotency.StoredResponse(Fingerprint(b"", 0, b""), 200, {}, b"")
    async with resources.engine.begin() as connection:
        await idempotency.store_response(connection, held, answer)


async def take_lease(resources: Resources) -> None:
    async with resources.leases.hold("any"):
        pass


async def export_events(connection: AsyncConnection, customer_id: CustomerId) -> None:
    owned_ids = await documents.list_owned_ids(connection, customer_id)
    await privacy.list_held_events(connection, customer_id, owned_ids)


async def export_support_reads(connection: AsyncConnection, customer_id: CustomerId) -> None:
    owned_ids = await documents.list_owned_ids(connection, customer_id)
    await audit_log.list_records(connection, customer_id, owned_ids)


def listed(owner: str, **filters: Any) -> Callable[[Resources], Awaitable[object]]:
    owner_id = CustomerId(owner)
    return lambda resources: list_store.list_page(
        resources.hot_pool, POLICY, owner_id, "http://portal.test/", limit=PAGE, **filters
    )


async def list_for_support(resources: Resources) -> None:
    owner = Anybody(resources.engine, AuditRecordId(1))
    await list_store.list_documents(resources.hot_pool, POLICY, owner, order_id=ORDER, limit=PAGE)


def events(
    state: State | None = None, event_type: str | None = None, *, is_first: bool = True, **order: str
) -> Callable[[Resources], Awaitable[object]]:
    after = None if is_first else (MIDDLE, "x")
    filters = {"order_id": None, **order}
    return with_connection(
        ops.list_events, state=state, event_type=event_type, after=after, limit=PAGE, **filters
    )


def put(count: int) -> Callable[[Resources], Awaitable[object]]:
    arrived = [
        NewEvent(EventId(key(f"event{n}")), "t", "pending", ORDER, None, "{}")
        for n in range(999_000, 999_000 + 2 * count)
        if n % 2
    ]
    return lambda resources: ingest.insert_events(resources.hot_pool, arrived, "webhook")


INBOX: Mapping[str, Expectation] = {
    "claim and finish": expect(claim_and_finish, "ix_webhook_event_due", "pk_webhook_event"),
    "claim and finish three": expect(
        partial(claim_and_finish, limit=3), "ix_webhook_event_due", "pk_webhook_event"
    ),
    "claim and retry": expect(claim_and_retry, "ix_webhook_event_due", "pk_webhook_event"),
    "claim twenty": expect(
        with_connection(inbox.claim_events, limit=20, lease=60), "ix_webhook_event_due", pages=900
    ),
    "when is the next due": expect(with_connection(inbox.find_seconds_until_due), "ix_webhook_event_due"),
    # Five pages an event: to look for its id, and what the upsert's own checks read.
    "put a hundred": expect(put(100), pages=700, rows=200),
    "oldest open": expect(with_connection(inbox.find_oldest_pending_age)),
    # A number that nobody keeps: it is counted, in an index.
    "count open": expect(with_connection(inbox.count_events, "pending"), pages=3000, rows=BACKLOG + 500),
    "count buried": expect(with_connection(inbox.count_events, "buried"), "ix_webhook_event_state"),
    "events": expect(events(), "ix_webhook_event_received"),
    "events, next page": expect(events(is_first=False), "ix_webhook_event_received"),
    "events of an order": expect(events(order_id=ORDER), "ix_webhook_event_order_id"),
    "events of a frequent type": expect(events(event_type="order.invoice.created")),
    "events of a rare type": expect(events(event_type="order.rare"), "ix_webhook_event_type"),
    "events of no type": expect(events(event_type="no.such", is_first=False), "ix_webhook_event_type"),
    "open events": expect(events("pending")),
    "open events, next page": expect(events("pending", is_first=False)),
    "done events": expect(events("done")),
    "done events, next page": expect(events("done", is_first=False)),
    "ignored events": expect(events("ignored"), "ix_webhook_event_state"),
    "buried events": expect(events("buried"), "ix_webhook_event_state"),
    "buried events of a type": expect(
        events("buried", "order.credit_memo.created"), "ix_webhook_event_state"
    ),
    "one event": expect(with_connection(ops.find_event, EventId(key("event7"))), "pk_webhook_event"),
    "revive": expect(
        with_connection(revival.revive_all, "order.invoice.created", ["order.invoice.created"], limit=20),
        "ix_webhook_event_state",
        "ix_webhook_event_due",
    ),
    "prune events": expect(
        with_connection(
            retention_store.delete_expired, retention_store.RETENTION_RULES[0], limit=retention.BATCH_SIZE
        ),
        "ix_webhook_event_received",
        pages=8000,
        rows=3 * retention.BATCH_SIZE,
    ),
    # A row that changes is written anew, and so is its place in each index.
    "let go of bodies": expect(
        with_connection(inbox.delete_bodies, "done", BODY_RETENTION["done"], limit=retention.BATCH_SIZE),
        "ix_webhook_event_kept_body",
        pages=40_000,
        rows=3 * retention.BATCH_SIZE,
    ),
    "let go of bodies of what was ignored": expect(
        with_connection(
            inbox.delete_bodies, "ignored", BODY_RETENTION["ignored"], limit=retention.BATCH_SIZE
        ),
        "ix_webhook_event_kept_body",
    ),
}

DOCUMENTS: Mapping[str, Expectation] = {
    f"{owner}'s {name}": expect(listed(owner, **filters), "pk_file_link", index)
    for owner in (LARGE_CUSTOMER, SMALL_CUSTOMER)
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
    "anybody's documents of an order": expect(list_for_support, "ix_document_order_id"),
    "one document": expect(
        lambda resources: documents.find_document(
            resources.hot_pool, POLICY, CustomerId(LARGE_CUSTOMER), DOCUMENT
        ),
        "pk_document",
    ),
    "keep a document": expect(
        with_connection(
            documents.upsert_documents,
            [NewDocument(FILE, ORDER, CustomerId(SMALL_CUSTOMER), "invoice", "invoice.pdf", MIDDLE)],
        )
    ),
    "keep a link": expect(
        with_connection(links.upsert_links, {FILE: Link("id", "https://links.invalid/1", LATER)})
    ),
    "a stored link": expect(
        lambda resources: links.find_stored_link(resources.hot_pool, POLICY, FILE), "pk_file_link"
    ),
    "keep a refusal": expect(with_connection(links.upsert_refusal, FILE, "host")),
    "kinds of an order": expect(
        with_connection(documents.list_document_kinds, CustomerId(SMALL_CUSTOMER), ORDER),
        "ix_document_order_id",
    ),
    "files of an order": expect(
        with_connection(documents.list_known_file_ids, ORDER, is_guest_order=False), "ix_document_order_id"
    ),
    "what is known of an order": expect(
        with_connection(documents.find_order_check, CustomerId(SMALL_CUSTOMER), ORDER), "pk_order_check"
    ),
    "an order that was not there": expect(
        with_connection(
            documents.is_order_absent, CustomerId(SMALL_CUSTOMER), ORDER, within=timedelta(seconds=15)
        ),
        "pk_order_absence",
    ),
    "keep that an order was not there": expect(
        with_connection(documents.upsert_order_absence, CustomerId(SMALL_CUSTOMER), ORDER)
    ),
    "keep what is known of an order": expect(
        with_connection(
            documents.upsert_order_check, ORDER, customer_id=None, invoice="ready", credit_memo="notIssued"
        )
    ),
    "the export of a shopper": expect(
        with_connection(export_support_reads, CustomerId(SMALL_CUSTOMER)),
        "ix_order_check_customer_id",
        "ix_audit_record_order",
    ),
    "the events of a shopper": expect(
        with_connection(export_events, CustomerId(SMALL_CUSTOMER)),
        "ix_webhook_event_order_id",
        "ix_webhook_event_state",
        pages=400,
    ),
    "whose an order is": expect(with_connection(documents.find_order_owner, ORDER), "pk_order_check"),
    # As much as there is to export: fifty thousand documents and their orders.
    "all things of a merchant": expect(
        with_connection(documents.list_owned_ids, CustomerId(LARGE_CUSTOMER)),
        "ix_order_check_customer_id",
        pages=40_000,
        rows=160_000,
    ),
}

# In the order of a digest, each row of a batch is on another page.
SCATTERED = dict.fromkeys(("rate_bucket", "order_absence", "link_refusal"), 11 * retention.BATCH_SIZE)

AROUND: Mapping[str, Expectation] = {
    f"prune {what.table.name}": expect(
        with_connection(retention_store.delete_expired, what, limit=retention.BATCH_SIZE),
        pages=SCATTERED.get(what.table.name, 8000),
        rows=7 * retention.BATCH_SIZE,
    )
    for what in retention_store.RETENTION_RULES[1:]
} | {
    "answer once": expect(
        claim_and_store_response, "pk_idempotent_request", "ix_idempotent_request_valid_until", pages=300
    ),
    "forget answers": expect(
        with_connection(idempotency.delete_responses, CustomerId(SMALL_CUSTOMER)),
        "ix_idempotent_request_customer_id",
    ),
    "keep an audit record": expect(
        with_connection(
            audit_log.insert_record,
            subject="support",
            customer_id=CustomerId(SMALL_CUSTOMER),
            operation="GET /v1/orders",
            path_ids={},
            request_id="request",
        )
    ),
    "requests to be forgotten": expect(
        with_connection(privacy.list_all_forget_requests, before=9000, limit=PAGE),
        "pk_forget_request",
    ),
    "a customer's requests to be forgotten": expect(
        with_connection(privacy.list_forget_requests, CustomerId(SMALL_CUSTOMER)),
        "ix_forget_request_customer_id",
    ),
    "a page of a customer's requests to be forgotten": expect(
        with_connection(privacy.list_forget_requests, CustomerId(SMALL_CUSTOMER), before=9000, limit=PAGE),
        "ix_forget_request_customer_id",
    ),
    "a lease": expect(take_lease),
    # Forty-five days of sweeps are few rows, and read whole.
    "what sweeps remember": expect(with_connection(sweep_log.load_state), rows=7000),
    "the last sweep": expect(with_connection(sweep_log.find_last_sweep), rows=7000),
    "swept lately": expect(with_connection(sweep_log.count_found, within=timedelta(days=1)), rows=7000),
    "ask for a sweep": expect(with_connection(sweep_log.request_sweep, None), rows=7000),
    "clear up sweeps": expect(with_connection(sweep_log.close_abandoned_sweeps), rows=7000),
}
