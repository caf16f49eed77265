"""Documents as frontends see them."""

from typing import Any

from pydantic import ConfigDict

from app.documents.store import Availability, Document, Kind
from app.web.contract import Contract, Instant
from app.web.paging import Page

_EXAMPLE: dict[str, Any] = {
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


class LinkView(Contract):
    """A public link to the PDF. Whoever has the URL can open it, until it expires."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE["link"]]})

    url: str
    expires_at: Instant


class DocumentView(Contract):
    """An invoice or a credit memo."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    kind: Kind
    order_id: str
    file_name: str
    created_at: Instant
    """When Digital River issued it."""
    available_since: Instant
    """When it became available here."""
    content_url: str
    """Opens the document, with the same access token. Never expires; keep this one, not the link."""
    link: LinkView | None
    """A public link with at least five minutes of life, or null; `contentUrl` makes a new one."""


class AvailabilityView(Contract):
    """For each kind: `ready` (at least one is listed), `pending` (to be expected, ask again later) or
    `notIssued` (none is to be expected: nothing charged or refunded, or the selling entity issues none)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"invoice": "ready", "creditMemo": "notIssued"}]}
    )

    invoice: Availability
    credit_memo: Availability


class OrderDocumentsPage(Page[DocumentView]):
    """The documents of one order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [_EXAMPLE],
                    "nextCursor": None,
                    "availability": {"invoice": "ready", "creditMemo": "notIssued"},
                }
            ]
        }
    )

    availability: AvailabilityView


def view(document: Document, base_url: str) -> DocumentView:
    """The document as the frontend sees it; `base_url` is this API's, with a slash at its end."""
    link = document.link
    return DocumentView(
        id=document.id,
        kind=document.kind,
        order_id=document.order_id,
        file_name=document.file_name,
        created_at=document.created_at,
        available_since=document.available_since,
        content_url=f"{base_url}v1/documents/{document.id}/content",
        link=None if link is None else LinkView(url=link.url, expires_at=link.expires_at),
    )
