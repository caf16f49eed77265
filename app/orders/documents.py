"""What the page about an order says of its documents, and whom it asks for them.

The documents room stands above this one and may not be imported here. So this room says what it needs, as a
shape and a protocol; the documents room fills it, and uses the same shape for its own routes. One shape
means one schema for frontends and nothing that could drift apart.
"""

from typing import Any, Literal, Protocol

from pydantic import ConfigDict

from app.digital_river.models import Order
from app.resources import Resources
from app.web.contract import Contract, Instant

DocumentKind = Literal["invoice", "creditMemo"]
Availability = Literal["ready", "pending", "notIssued", "unknown"]

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


class LinkView(Contract):
    """A public link to the PDF. Whoever has the URL can open it, until it expires."""

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT_EXAMPLE["link"]]})

    url: str
    expires_at: Instant


class DocumentView(Contract):
    """An invoice or a credit memo."""

    model_config = ConfigDict(json_schema_extra={"examples": [DOCUMENT_EXAMPLE]})

    id: str
    kind: DocumentKind
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
    """For each kind: `ready` (at least one is listed), `pending` (to be expected, ask again later),
    `notIssued` (none is to be expected: nothing charged or refunded, or the selling entity issues none) or
    `unknown` (it could not be found out just now, ask again later)."""

    model_config = ConfigDict(json_schema_extra={"examples": [AVAILABILITY_EXAMPLE]})

    invoice: Availability
    credit_memo: Availability


class OrderDocumentsView(Contract):
    """The newest hundred documents of the order; `/v1/orders/{orderId}/documents` pages through all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [DOCUMENT_EXAMPLE], "availability": AVAILABILITY_EXAMPLE}]}
    )

    data: list[DocumentView]
    availability: AvailabilityView


class DocumentsOf(Protocol):
    """Tells the documents of an order that was just read; `base_url` is this API's, with a slash at its end.

    Asks the far side only about PDFs that it has never seen; may raise DigitalRiverError then.
    """

    async def __call__(self, resources: Resources, order: Order, base_url: str) -> OrderDocumentsView: ...
