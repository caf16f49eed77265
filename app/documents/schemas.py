"""Documents as frontends see them. The shape of one, which the page about an order shares, is in `orders`."""

from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict

from app.documents.service import OrderDocuments
from app.documents.store import Document
from app.orders.documents import (
    AVAILABILITY_EXAMPLE,
    DOCUMENT_EXAMPLE,
    AvailabilityView,
    DocumentView,
    OrderDocumentsView,
)
from app.web.paging import Page


class DocumentsPage(Page[DocumentView]):
    """A piece of the caller's documents."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [DOCUMENT_EXAMPLE], "nextCursor": None}]}
    )


class OrderDocumentsPage(Page[DocumentView]):
    """The documents of one order."""

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


def view(document: Document, base_url: str) -> DocumentView:
    """The document as the frontend sees it; `base_url` is this API's, with a slash at its end."""
    return DocumentView.model_validate(_shape(document, base_url))


def page(documents: Sequence[Document], base_url: str, next_cursor: str | None) -> DocumentsPage:
    """A piece of the list, read in one pass: a page may hold a hundred documents."""
    data = [_shape(document, base_url) for document in documents]
    return DocumentsPage.model_validate({"data": data, "nextCursor": next_cursor})


def _shape(document: Document, base_url: str) -> dict[str, Any]:
    link = document.link
    return {
        "id": document.id,
        "kind": document.kind,
        "orderId": document.order_id,
        "fileName": document.file_name,
        "createdAt": document.created_at,
        "availableSince": document.available_since,
        "contentUrl": f"{base_url}v1/documents/{document.id}/content",
        "link": link and {"url": link.url, "expiresAt": link.expires_at},
    }


def availability(found: OrderDocuments) -> AvailabilityView:
    """Which kinds of documents are there, to be expected, or will not come."""
    return AvailabilityView(invoice=found.invoice, credit_memo=found.credit_memo)


def order_view(found: OrderDocuments, base_url: str) -> OrderDocumentsView:
    """The documents as the page about their order shows them."""
    documents = [view(document, base_url) for document in found.documents]
    return OrderDocumentsView(data=documents, availability=availability(found))
