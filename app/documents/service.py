"""Reads documents for a buyer or for support: a list, one document, a link to it, an order's documents."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.access.ownership import Anybody, Owner, fetch_owned_order
from app.db.engine import AsyncEngine
from app.db.hot_pool import HotPool
from app.db.leases import LeaseBusy
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import DigitalRiverError, Missing
from app.digital_river.models import Order
from app.documents import intake, links, list_store, store
from app.documents.availability import (
    Availability,
    combine_availability,
    credit_memo_availability,
    invoice_availability,
)
from app.documents.link_policy import Link, LinkPolicy, policy_of
from app.documents.store import Document, DocumentKind, OrderCheck, Position
from app.ids import CustomerId, DocumentId, FileId, OrderId
from app.resources import Resources
from app.web.problems import NotFound

# If a document of an order is pending, or the order was absent: when to ask Digital River again.
RECHECK_AFTER = timedelta(seconds=15)
# If nothing is pending: when to ask again, because an event may have been lost.
STALE_AFTER = timedelta(days=1)
# How many documents the order page lists.
DOCUMENTS_ON_ORDER_PAGE = 100

# How many rows one statement reads when the export lists all documents.
BATCH_SIZE = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OrderDocuments:
    """An order's documents, and for each kind its availability."""

    documents: Sequence[Document]
    invoice: Availability
    credit_memo: Availability


async def get_document(pool: HotPool, policy: LinkPolicy, owner: Owner, document_id: DocumentId) -> Document:
    """The owner's document.

    Raises:
        NotFound: the document does not exist, or is another customer's.
    """
    document = await store.find_document(pool, policy, owner, document_id)
    if document is None:
        raise NotFound()
    if isinstance(owner, Anybody):
        await owner.attribute(document.customer_id)
    return document


async def get_document_link(resources: Resources, owner: Owner, document_id: DocumentId) -> Link:
    """A working link to the owner's document.

    Raises:
        NotFound: the document does not exist, or is another customer's.
        DigitalRiverError, LeaseBusy: the link had to be renewed, and the renewal failed.
    """
    document = await get_document(resources.hot_pool, policy_of(resources.settings), owner, document_id)
    return document.link or await links.get_usable_link(resources, document.file_id)


async def get_order_documents(
    resources: Resources,
    owner: Owner,
    order_id: OrderId,
    *,
    after: Position | None = None,
    limit: int,
) -> OrderDocuments:
    """The order's documents in PostgreSQL, newest first. If an event is missing or late, the function reads
    Digital River's order first, and stores its documents as the event would have done.

    Raises:
        NotFound: the order does not exist, or is another customer's.
        DigitalRiverError, LeaseBusy: nothing is stored, and reading the order failed.
    """
    state = await _load_stored_state(resources.engine, owner, order_id)
    if state.is_outdated:
        try:
            state = await _refresh_from_digital_river(resources, owner, order_id)
        except (DigitalRiverError, LeaseBusy) as error:
            if not state.kinds:
                raise
            log.warning("documents.read_through_failed", order_id=order_id, error=type(error).__name__)
    if not state.is_owned:
        raise NotFound()
    if isinstance(owner, Anybody) and not owner.is_attributed:
        async with resources.engine.connect() as connection:
            customer_id = await store.find_order_owner(connection, order_id)
        await owner.attribute(customer_id)
    documents = await list_store.list_documents(
        resources.hot_pool,
        policy_of(resources.settings),
        owner,
        order_id=order_id,
        after=after,
        limit=limit,
    )
    return OrderDocuments(documents, state.availability("invoice"), state.availability("creditMemo"))


async def list_all_documents(pool: HotPool, policy: LinkPolicy, owner: CustomerId) -> Sequence[Document]:
    """All documents of the owner, newest first."""
    documents: list[Document] = []
    after: Position | None = None
    while batch := await list_store.list_documents(pool, policy, owner, after=after, limit=BATCH_SIZE):
        documents += batch
        after = Position(batch[-1].created_at, batch[-1].id)
    return documents


async def refresh_order_documents(resources: Resources, owner: Owner, order: Order) -> OrderDocuments:
    """The newest documents of the owner's order, which the caller has just read. The function stores new
    documents as their events would have done. If there are none, it does not call Digital River.

    Raises:
        DigitalRiverError: the order names a document that could not be fetched.
    """
    order_id = OrderId(order.id)
    if await _differs_from_stored(resources.engine, owner, order):
        await _store_order_documents(resources.engine, resources.digital_river, order_id, order)
    documents = await list_store.list_documents(
        resources.hot_pool,
        policy_of(resources.settings),
        # Support sees the documents of the order's customer, whose name the audit log has.
        _customer_id_of(order) or owner,
        order_id=order_id,
        limit=DOCUMENTS_ON_ORDER_PAGE,
    )
    kinds = {document.kind for document in documents}
    return OrderDocuments(
        documents,
        combine_availability("invoice" in kinds, invoice_availability(order)),
        combine_availability("creditMemo" in kinds, credit_memo_availability(order)),
    )


async def _differs_from_stored(engine: AsyncEngine, owner: Owner, order: Order) -> bool:
    customer_id, order_id = _customer_id_of(order), OrderId(order.id)
    async with engine.connect() as connection:
        known = await store.list_known_file_ids(connection, order_id, is_guest_order=customer_id is None)
        check = await store.find_order_check(connection, owner, order_id)
    announced = {pdf.id for pdf in (*order.invoice_pdfs, *order.credit_memo_pdfs)}
    current = (customer_id, invoice_availability(order), credit_memo_availability(order))
    stored = None if check is None else (check.customer_id, check.invoice, check.credit_memo)
    return current != stored or not announced <= known


def _customer_id_of(order: Order) -> CustomerId | None:
    """The customer who owns the order; None for a guest's order."""
    return None if order.customer_id is None else CustomerId(order.customer_id)


@dataclass(frozen=True, slots=True)
class _StoredState:
    """What PostgreSQL holds about one order's documents, filtered by the owner. It holds the same for another
    customer's order as for an order that does not exist: nothing."""

    kinds: frozenset[DocumentKind]
    check: OrderCheck | None
    # Digital River had no such order of this owner within RECHECK_AFTER.
    is_absent: bool

    @property
    def is_owned(self) -> bool:
        """Whether PostgreSQL shows that the order is the owner's."""
        return bool(self.kinds) or self.check is not None

    @property
    def is_outdated(self) -> bool:
        """Whether to read the order from Digital River."""
        if self.is_absent:
            return False
        if self.check is None:
            return True
        is_pending = any(self.availability(kind) == "pending" for kind in ("invoice", "creditMemo"))
        return self.check.age > (RECHECK_AFTER if is_pending else STALE_AFTER)

    def availability(self, kind: DocumentKind) -> Availability:
        return combine_availability(kind in self.kinds, self._announced(kind))

    def _announced(self, kind: DocumentKind) -> Availability:
        if self.check is None:
            # The documents in PostgreSQL came with events, and an event is about one kind only.
            return "unknown"
        return self.check.invoice if kind == "invoice" else self.check.credit_memo


async def _load_stored_state(engine: AsyncEngine, owner: Owner, order_id: OrderId) -> _StoredState:
    async with engine.connect() as connection:
        return _StoredState(
            await store.list_document_kinds(connection, owner, order_id),
            await store.find_order_check(connection, owner, order_id),
            await store.is_order_absent(connection, owner, order_id, within=RECHECK_AFTER),
        )


async def _refresh_from_digital_river(resources: Resources, owner: Owner, order_id: OrderId) -> _StoredState:
    """Read the order from Digital River and store its documents, once at a time for each owner.

    The lease names the owner. So an owner does not wait for other customers that request the same order id,
    and their requests do not change the owner's result.
    """
    reader = "" if isinstance(owner, Anybody) else owner
    async with resources.leases.hold(f"order:{order_id}:{reader}"):
        state = await _load_stored_state(resources.engine, owner, order_id)
        if not state.is_outdated:
            return state
        try:
            order = await fetch_owned_order(resources.digital_river, owner, order_id)
        except Missing:
            async with resources.engine.begin() as connection:
                await store.upsert_order_absence(connection, owner, order_id)
        else:
            await _store_order_documents(resources.engine, resources.digital_river, order_id, order)
        return await _load_stored_state(resources.engine, owner, order_id)


async def _store_order_documents(
    engine: AsyncEngine, client: DigitalRiverClient, order_id: OrderId, order: Order
) -> None:
    """Store the order's documents as their events would have done, and what the order says of them. A file
    that Digital River does not have yet is left out."""
    customer_id = _customer_id_of(order)
    announced: dict[FileId, DocumentKind] = {FileId(pdf.id): "invoice" for pdf in order.invoice_pdfs}
    announced |= {FileId(pdf.id): "creditMemo" for pdf in order.credit_memo_pdfs}
    async with engine.connect() as connection:
        known = await store.list_known_file_ids(connection, order_id, is_guest_order=customer_id is None)
    results = await asyncio.gather(
        *(
            intake.fetch_document(client, file_id, order_id=order_id, customer_id=customer_id, kind=kind)
            for file_id, kind in announced.items()
            if file_id not in known
        ),
        return_exceptions=True,
    )
    if documents := [result for result in results if not isinstance(result, BaseException)]:
        async with engine.begin() as connection:
            await store.upsert_documents(connection, documents)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Missing):
            raise result
    async with engine.begin() as connection:
        await store.upsert_order_check(
            connection,
            order_id,
            customer_id=customer_id,
            invoice=invoice_availability(order),
            credit_memo=credit_memo_availability(order),
        )
