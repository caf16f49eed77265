"""What a buyer may ask about documents: the list, one of them, a link to it, and an order's documents."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.access.ownership import Anybody, Owner, fetch_owned_order
from app.db.engine import AsyncEngine, Pool
from app.db.leases import LeaseBusy
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import DigitalRiverError, Missing
from app.digital_river.models import Order
from app.documents import intake, links, store
from app.documents.link_policy import Link, LinkPolicy, policy_of
from app.documents.store import Availability, Document, DocumentKind, OrderCheck, Position
from app.ids import CustomerId, DocumentId, FileId, OrderId
from app.resources import Resources
from app.web.problems import NotFound

# How long "not yet" or "not here" of the far side is believed before it is asked again for the same order.
RECHECK_AFTER = timedelta(seconds=15)
# When all seems to be there: how long it is believed. An event lost for good shows by then.
STALE_AFTER = timedelta(days=1)
# What a page about an order lists of its documents.
DOCUMENTS_ON_ORDER_PAGE = 100

# How many rows a list that is read to its end takes at once.
BATCH_SIZE = 500

# Digital River docs, Invoices: only these selling entities issue an invoice by themselves.
INVOICING_ENTITIES = frozenset(
    {"DR_INC-ENTITY", "C5_INC-ENTITY", "DR_IRELAND-ENTITY", "DR_UK-ENTITY", "DR_JAPAN-ENTITY"}
)
ENDED_WITHOUT_INVOICE = frozenset({"blocked", "cancelled"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OrderDocuments:
    """An order's documents and, for each kind, whether one is there, to be expected, or will not come."""

    documents: Sequence[Document]
    invoice: Availability
    credit_memo: Availability


async def get_document(pool: Pool, policy: LinkPolicy, owner: Owner, document_id: DocumentId) -> Document:
    """The owner's document.

    Raises:
        NotFound: there is none, or it is somebody else's.
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
        NotFound: there is none, or it is somebody else's.
        DigitalRiverError, LeaseBusy: the link had to be renewed, and could not be.
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
    """The order's documents, newest first, from PostgreSQL; from Digital River's order where an event is
    missing or late, and then kept as if the event had come.

    Raises:
        NotFound: there is no such order, or it is somebody else's.
        DigitalRiverError, LeaseBusy: nothing is stored and Digital River could not be asked.
    """
    known = await _load_stored_state(resources.engine, owner, order_id)
    if known.is_incomplete:
        try:
            known = await _refresh_from_digital_river(resources, owner, order_id)
        except (DigitalRiverError, LeaseBusy) as error:
            if not known.kinds:
                raise
            log.warning("documents.read_through_failed", order_id=order_id, error=type(error).__name__)
    if not known.is_theirs:
        raise NotFound()
    if isinstance(owner, Anybody):
        async with resources.engine.connect() as connection:
            customer_id = await store.find_order_owner(connection, order_id)
        await owner.attribute(customer_id)
    documents = await store.list_documents(
        resources.hot_pool,
        policy_of(resources.settings),
        owner,
        order_id=order_id,
        after=after,
        limit=limit,
    )
    return OrderDocuments(documents, known.availability("invoice"), known.availability("creditMemo"))


async def list_all_documents(resources: Resources, owner: CustomerId) -> Sequence[Document]:
    """Every document of the owner, newest first."""
    policy = policy_of(resources.settings)
    found: list[Document] = []
    after: Position | None = None
    while rows := await store.list_documents(
        resources.hot_pool, policy, owner, after=after, limit=BATCH_SIZE
    ):
        found += rows
        after = Position(rows[-1].created_at, rows[-1].id)
    return found


async def get_documents_of_order(resources: Resources, owner: Owner, order: Order) -> OrderDocuments:
    """The newest documents of the owner's order that was just read. What is new in it is kept as if the event
    had come; what is known already costs no far-side call.

    Raises:
        DigitalRiverError: the order names a document that could not be asked for.
    """
    order_id = OrderId(order.id)
    if await _differs_from_stored(resources.engine, owner, order):
        await _store_documents_of_order(resources.engine, resources.digital_river, order_id, order)
    documents = await store.list_documents(
        resources.hot_pool,
        policy_of(resources.settings),
        owner,
        order_id=order_id,
        limit=DOCUMENTS_ON_ORDER_PAGE,
    )
    kinds = {document.kind for document in documents}
    return OrderDocuments(
        documents,
        _combined_availability("invoice" in kinds, invoice_availability(order)),
        _combined_availability("creditMemo" in kinds, credit_memo_availability(order)),
    )


def _combined_availability(is_stored: bool, said: Availability) -> Availability:
    """What to say of a kind of which Digital River has `said` this."""
    if is_stored:
        return "ready"
    # Announced, but its file was not to be had yet.
    return "pending" if said == "ready" else said


async def _differs_from_stored(engine: AsyncEngine, owner: Owner, order: Order) -> bool:
    customer_id, order_id = _customer_id_of(order), OrderId(order.id)
    async with engine.connect() as connection:
        known = await store.list_known_file_ids(connection, order_id, is_guests=customer_id is None)
        check = await store.find_order_check(connection, owner, order_id)
    announced = {pdf.id for pdf in (*order.invoice_pdfs, *order.credit_memo_pdfs)}
    now = (customer_id, invoice_availability(order), credit_memo_availability(order))
    before = None if check is None else (check.customer_id, check.invoice, check.credit_memo)
    return before != now or not announced <= known


def _customer_id_of(order: Order) -> CustomerId | None:
    """Whose the order is; None: a guest's."""
    return None if order.customer_id is None else CustomerId(order.customer_id)


@dataclass(frozen=True, slots=True)
class _StoredState:
    """What PostgreSQL knows of one order's documents for one customer, or for support. It is the same for an
    order of somebody else's and for one that does not exist: nothing, for either."""

    kinds: frozenset[DocumentKind]
    check: OrderCheck | None
    # A moment ago the asker had no such order.
    is_absent: bool

    @property
    def is_theirs(self) -> bool:
        return bool(self.kinds) or self.check is not None

    @property
    def is_incomplete(self) -> bool:
        """Whether Digital River should be asked."""
        if self.is_absent:
            return False
        if self.check is None:
            return True
        is_waiting = any(self.availability(kind) == "pending" for kind in ("invoice", "creditMemo"))
        return self.check.age > (RECHECK_AFTER if is_waiting else STALE_AFTER)

    def availability(self, kind: DocumentKind) -> Availability:
        return _combined_availability(kind in self.kinds, self._checked(kind))

    def _checked(self, kind: DocumentKind) -> Availability:
        if self.check is None:
            # An event about one kind says nothing about the other.
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
    """Ask Digital River for the order, with one request of each asker at a time: an owner does not wait for a
    stranger, and nothing that a stranger asks changes what the owner is told."""
    asker = "" if isinstance(owner, Anybody) else owner
    async with resources.leases.hold(f"order:{order_id}:{asker}"):
        known = await _load_stored_state(resources.engine, owner, order_id)
        if not known.is_incomplete:
            return known
        try:
            order = await fetch_owned_order(resources.digital_river, owner, order_id)
        except Missing:
            async with resources.engine.begin() as connection:
                await store.upsert_order_absence(connection, owner, order_id)
        else:
            await _store_documents_of_order(resources.engine, resources.digital_river, order_id, order)
        return await _load_stored_state(resources.engine, owner, order_id)


async def _store_documents_of_order(
    engine: AsyncEngine, client: DigitalRiverClient, order_id: OrderId, order: Order
) -> None:
    """Store the order's documents as if their events had come, and what else the order says of them. A file
    that is not there yet is left for the next time."""
    customer_id = _customer_id_of(order)
    announced: dict[FileId, DocumentKind] = {FileId(pdf.id): "invoice" for pdf in order.invoice_pdfs}
    announced |= {FileId(pdf.id): "creditMemo" for pdf in order.credit_memo_pdfs}
    async with engine.connect() as connection:
        known = await store.list_known_file_ids(connection, order_id, is_guests=customer_id is None)
    found = await asyncio.gather(
        *(
            intake.fetch_document(client, file_id, order_id=order_id, customer_id=customer_id, kind=kind)
            for file_id, kind in announced.items()
            if file_id not in known
        ),
        return_exceptions=True,
    )
    async with engine.begin() as connection:
        for document in found:
            if not isinstance(document, BaseException):
                await store.upsert_document(connection, document)
    for document in found:
        if isinstance(document, BaseException) and not isinstance(document, Missing):
            raise document
    async with engine.begin() as connection:
        await store.upsert_order_check(
            connection,
            order_id,
            customer_id=customer_id,
            invoice=invoice_availability(order),
            credit_memo=credit_memo_availability(order),
        )


def invoice_availability(order: Order) -> Availability:
    """Whether the order has an invoice, or ever will (Digital River docs, Invoices)."""
    if order.invoice_pdfs:
        return "ready"
    if order.unreadable("invoice_pdfs"):
        return "pending"
    entity = order.selling_entity.id if order.selling_entity else None
    is_foreign = entity is not None and entity not in INVOICING_ENTITIES
    if order.total_amount == 0 or is_foreign or order.state in ENDED_WITHOUT_INVOICE:
        return "notIssued"
    return "pending"


def credit_memo_availability(order: Order) -> Availability:
    """Whether the order has a credit memo, or is about to: one is issued when the amount owed drops."""
    if order.credit_memo_pdfs:
        return "ready"
    return "pending" if order.refunded_amount or order.unreadable("credit_memo_pdfs") else "notIssued"
