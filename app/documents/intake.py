"""Handles the events of documents: fetches the document and a link, and stores both.

`service` fetches the documents of an order with the same function, so both ways end in the same upsert.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import AliasChoices, Field, ValidationError

from app.db.engine import AsyncConnection
from app.digital_river.api import files, orders
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.models.tolerant_model import DigitalRiverModel, Identifier
from app.documents import link_store, links, store
from app.documents.link_policy import Link
from app.documents.links import LinkRefused
from app.documents.store import DocumentKind, NewDocument
from app.ids import CustomerId, FileId, OrderId
from app.resources import Resources

DOCUMENT_KINDS: Mapping[str, DocumentKind] = {
    "order.invoice.created": "invoice",
    "order.credit_memo.created": "creditMemo",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event changes here. `store` writes the items of many events in the caller's transaction."""

    store: Callable[[AsyncConnection, Sequence[Any]], Awaitable[None]]
    item: Any


class UnprocessableEvent(ValueError):
    """The event can never be handled: something that it must contain is missing or invalid."""


class _AnnouncedFile(DigitalRiverModel):
    """The `data.object` of both events (Digital River docs, Events: `id` equals `fileId`)."""

    file_id: Identifier = Field(validation_alias=AliasChoices("fileId", "id"))
    order_id: Identifier
    customer_id: Identifier | None = None


@asynccontextmanager
async def handle_event(
    resources: Resources, event_type: str, event_object: Mapping[str, Any]
) -> AsyncIterator[Effect]:
    """Fetch the announced document and a link to it from Digital River, then yield the effect: both are to be
    stored in the caller's transaction.

    The file and its live links are fetched at the same time, and a new link is created only for a file that
    was found. Until the block ends, no other caller creates a link to the file.

    Raises:
        UnprocessableEvent: a field of `data.object` is missing or invalid.
        DigitalRiverError, LeaseBusy: the caller may try again, also after Missing: Digital River may not have
            the order or the file yet.
    """
    announced = _parse(event_object)
    client = resources.digital_river.background
    async with links.hold_renewal(resources, client, FileId(announced.file_id)) as renewal:
        document, found = await asyncio.gather(
            _fetch_announced(client, announced, DOCUMENT_KINDS[event_type]),
            renewal.find(),
            return_exceptions=True,
        )
        if isinstance(document, BaseException):
            raise document
        try:
            if isinstance(found, BaseException):
                raise found
            link = found or await renewal.create()
        except LinkRefused:
            # Without a link the buyer can still see the document in the list, and open it with `proxy`.
            async with resources.engine.begin() as connection:
                await store.upsert_documents(connection, [document])
            raise
        yield Effect(_store, (document, link))


async def _store(connection: AsyncConnection, announced: Sequence[tuple[NewDocument, Link]]) -> None:
    await store.upsert_documents(connection, [document for document, _ in announced])
    await link_store.upsert_links(connection, {document.file_id: link for document, link in announced})


def _parse(event_object: Mapping[str, Any]) -> _AnnouncedFile:
    try:
        return _AnnouncedFile.model_validate(event_object)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, detail["loc"])) for detail in error.errors()}))
        raise UnprocessableEvent(f"unusable or missing in data.object: {fields}") from None


async def _fetch_announced(
    client: DigitalRiverClient, announced: _AnnouncedFile, kind: DocumentKind
) -> NewDocument:
    """The announced document. If the event names no customer, it is the order's, and None for a guest."""
    file_id, order_id = FileId(announced.file_id), OrderId(announced.order_id)
    if announced.customer_id is not None:
        customer_id = CustomerId(announced.customer_id)
        return await fetch_document(client, file_id, order_id=order_id, customer_id=customer_id, kind=kind)
    order, document = await asyncio.gather(
        orders.fetch_any_order(client, order_id),
        fetch_document(client, file_id, order_id=order_id, customer_id=None, kind=kind),
        return_exceptions=True,
    )
    if isinstance(order, BaseException):
        raise order
    if isinstance(document, BaseException):
        raise document
    # A guest's order has no customer.
    return (
        document
        if order.customer_id is None
        else replace(document, customer_id=CustomerId(order.customer_id))
    )


async def fetch_document(
    client: DigitalRiverClient,
    file_id: FileId,
    *,
    order_id: OrderId,
    customer_id: CustomerId | None,
    kind: DocumentKind,
) -> NewDocument:
    """The document with the name and the time that its file has at Digital River.

    Raises:
        DigitalRiverError: the file could not be fetched.
    """
    file = await files.fetch_file(client, file_id)
    return NewDocument(
        file_id=file_id,
        order_id=order_id,
        customer_id=customer_id,
        kind=kind,
        file_name=file.file_name or f"{kind}-{order_id}.pdf",
        created_at=file.created_time or datetime.now(UTC),
    )
