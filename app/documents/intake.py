"""Handles the events of documents: fetches the document and a link, and stores both.

`service` fetches the documents of an order with the same function, so both ways end in the same upsert.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import AliasChoices, Field, ValidationError

from app.db.engine import AsyncConnection
from app.digital_river.api import files, orders
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.models.tolerant_model import DigitalRiverModel, Identifier
from app.documents import link_store, links, store
from app.documents.links import LinkRefused
from app.documents.store import DocumentKind, NewDocument
from app.ids import CustomerId, FileId, OrderId
from app.resources import Resources

DOCUMENT_KINDS: Mapping[str, DocumentKind] = {
    "order.invoice.created": "invoice",
    "order.credit_memo.created": "creditMemo",
}

Effect = Callable[[AsyncConnection], Awaitable[None]]


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
    """Fetch the announced document and a link to it from Digital River, then yield the effect: a function
    that stores both in the caller's transaction.

    Until the block ends, no other caller creates a link to the file.

    Raises:
        UnprocessableEvent: a field of `data.object` is missing or invalid.
        DigitalRiverError, LeaseBusy: the caller may try again, also after Missing: Digital River may not have
            the order or the file yet.
    """
    announced = _parse(event_object)
    file_id, order_id = FileId(announced.file_id), OrderId(announced.order_id)
    client = resources.digital_river.background
    document = await fetch_document(
        client,
        file_id,
        order_id=order_id,
        customer_id=CustomerId(announced.customer_id)
        if announced.customer_id is not None
        else await _fetch_customer_id(client, order_id),
        kind=DOCUMENT_KINDS[event_type],
    )
    async with AsyncExitStack() as stack:
        try:
            link = await stack.enter_async_context(links.hold_usable_link(resources, client, file_id))
        except LinkRefused:
            # Without a link the buyer can still see the document in the list, and open it with `proxy`.
            async with resources.engine.begin() as connection:
                await store.upsert_document(connection, document)
            raise

        async def effect(connection: AsyncConnection) -> None:
            await store.upsert_document(connection, document)
            await link_store.upsert_link(connection, file_id, link)

        yield effect


def _parse(event_object: Mapping[str, Any]) -> _AnnouncedFile:
    try:
        return _AnnouncedFile.model_validate(event_object)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, detail["loc"])) for detail in error.errors()}))
        raise UnprocessableEvent(f"unusable or missing in data.object: {fields}") from None


async def _fetch_customer_id(client: DigitalRiverClient, order_id: OrderId) -> CustomerId | None:
    """The order's customer, for an event that names none; None for a guest's order."""
    order = await orders.fetch_any_order(client, order_id)
    return None if order.customer_id is None else CustomerId(order.customer_id)


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
