"""All documents of a customer, for the export: what they are and where to open them, never a public link."""

from collections.abc import Sequence

from pydantic import ConfigDict

from app.access import export as access
from app.access.export import SupportRead
from app.documents import store
from app.documents.link_policy import policy_of
from app.documents.store import Document, DocumentKind, Position
from app.ids import CustomerId
from app.resources import Resources
from app.web.contract import Contract, Instant

ROWS_AT_ONCE = 500


class DocumentRecord(Contract):
    """One invoice or credit memo."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0b4bb1a7-0d0a-4b0e-9a53-6f1f6f0f5a11",
                    "kind": "invoice",
                    "orderId": "188418250336",
                    "fileName": "invoice-188418250336.pdf",
                    "createdAt": "2026-01-31T09:30:00Z",
                    "availableSince": "2026-01-31T09:30:02Z",
                }
            ]
        }
    )

    id: str
    """Opens it: `/v1/documents/{id}/content`."""
    kind: DocumentKind
    order_id: str
    file_name: str
    created_at: Instant
    available_since: Instant


async def list_records(resources: Resources, customer_id: CustomerId) -> Sequence[DocumentRecord]:
    """All documents of the customer, newest first."""
    policy = policy_of(resources.settings)
    found: list[Document] = []
    after: Position | None = None
    while rows := await store.list_documents(
        resources.hot, policy, customer_id, after=after, limit=ROWS_AT_ONCE
    ):
        found += rows
        after = Position(rows[-1].created_at, rows[-1].id)
    return [
        DocumentRecord(
            id=one.id,
            kind=one.kind,
            order_id=one.order_id,
            file_name=one.file_name,
            created_at=one.created_at,
            available_since=one.available_since,
        )
        for one in found
    ]


async def list_support_reads(resources: Resources, customer_id: CustomerId) -> Sequence[SupportRead]:
    """All looks of support at the customer, and at the orders and documents that are known to be theirs."""
    async with resources.engine.connect() as connection:
        things = await store.find_things(connection, customer_id)
    return await access.list_support_reads(resources, customer_id, things)
