"""The published models of documents, on their own routes and on the order page."""

from typing import Any

from pydantic import ConfigDict
from pydantic_core import to_json

from app.documents.availability import Availability
from app.documents.service import OrderDocuments
from app.documents.store import Document, DocumentKind
from app.web.api_model import ApiModel, Instant, parse_instant
from app.web.paging import Page

DOCUMENT_EXAMPLE: dict[str, Any] = {
    "id": "0b4bb1a7-0d0a-4b0e-9a53-6f1f6f0f5a11",
    "kind": "invoice",
    "orderId": "188418250336",
    "fileName": "invoice-188418250336.pdf",
    "createdAt": "2026-01-31T09:30:00Z",
    "availableSince": "2026-01-31T09:30:02Z",
    "contentUrl": "https://portal.example/v1/documents/0b4bb1a7-0d0a-4b0e-9a53-6f1f6f0f5a11/content",
    "link": {
        "url": "https://files.example/links/e8a63964-9a92-4c71-bc28-332681d8c815",
        "expiresAt": "2026-01-31T10:30:02Z",
    },
}
AVAILABILITY_EXAMPLE: dict[str, Any] = {"invoice": "ready", "creditMemo": "notIssued"}


class LinkView(ApiModel):
    """A public link to the PDF. Every person who has the URL can open the PDF until the link expires."""

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT_EXAMPLE["link"]]})

    url: str
    expires_at: Instant


class DocumentView(ApiModel):
    """An invoice or a credit memo."""

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT_EXAMPLE]})

    id: str
    kind: DocumentKind
    order_id: str
    file_name: str
    created_at: Instant
    """When Digital River issued it."""
    available_since: Instant
    """When it became available in this API."""
    content_url: str
    """Opens the document, with the same access token. It never expires: store this URL and not the link."""
    link: LinkView | None
    """A public link that works for at least five minutes, or null. `contentUrl` creates a new one."""


class AvailabilityView(ApiModel):
    """For each kind: `ready` (at least one document is listed), `pending` (a document will come: ask again
    later), `notIssued` (no document will come: nothing was charged or refunded, or the selling entity issues
    none) or `unknown` (it cannot be determined now: ask again later)."""

    model_config = ConfigDict(json_schema_extra={"examples": [AVAILABILITY_EXAMPLE]})

    invoice: Availability
    credit_memo: Availability


class OrderDocumentsView(ApiModel):
    """The newest hundred documents of the order. `/v1/orders/{orderId}/documents` lists all of them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [DOCUMENT_EXAMPLE], "availability": AVAILABILITY_EXAMPLE}]}
    )

    data: list[DocumentView]
    availability: AvailabilityView


class DocumentsPage(Page[DocumentView]):
    """One page of the caller's documents."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [DOCUMENT_EXAMPLE], "nextCursor": None}]}
    )


class OrderDocumentsPage(Page[DocumentView]):
    """One page of the documents of one order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [DOCUMENT_EXAMPLE],
                    "nextCursor": None,
                    "availability": AVAILABILITY_EXAMPLE,
                }
            ]
        }
    )

    availability: AvailabilityView


# The routes of documents render rows of ours without a model, because to validate them took three quarters
# of the time: a page of 20 documents costs 50 µs instead of 207. `base_url` is the URL of this API and ends
# with a slash.


def document_json(document: Document, base_url: str) -> bytes:
    """The JSON of the document's `DocumentView`."""
    return to_json(_members(document, base_url))


def order_documents_page_json(
    order_documents: OrderDocuments, base_url: str, next_cursor: str | None, limit: int
) -> bytes:
    """The JSON of an `OrderDocumentsPage` with the first `limit` documents."""
    data = [_members(document, base_url) for document in order_documents.documents[:limit]]
    availability = {"invoice": order_documents.invoice, "creditMemo": order_documents.credit_memo}
    return to_json({"data": data, "nextCursor": next_cursor, "availability": availability})


def _members(document: Document, base_url: str) -> dict[str, Any]:
    link = document.link
    return {
        "id": document.id,
        "kind": document.kind,
        "orderId": document.order_id,
        "fileName": document.file_name,
        "createdAt": parse_instant(document.created_at),
        "availableSince": parse_instant(document.available_since),
        "contentUrl": f"{base_url}v1/documents/{document.id}/content",
        "link": link and {"url": link.url, "expiresAt": parse_instant(link.expires_at)},
    }


def order_documents_view(order_documents: OrderDocuments, base_url: str) -> OrderDocumentsView:
    """The documents as the order page shows them."""
    return OrderDocumentsView(
        data=[DocumentView.model_validate(_members(d, base_url)) for d in order_documents.documents],
        availability=AvailabilityView(
            invoice=order_documents.invoice, credit_memo=order_documents.credit_memo
        ),
    )
