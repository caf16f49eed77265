"""Models of the export of a customer's data, and of requests to be forgotten."""

from typing import Any, Literal, Self

from pydantic import ConfigDict

from app.customers.schemas import ProfileView
from app.db.engine import RowMapping
from app.documents.store import Document, DocumentKind
from app.orders.schemas import OrderView
from app.payment_sources.schemas import PaymentSource
from app.tax.schemas import TaxCertificateView, TaxIdentifierView
from app.web.api_model import ApiModel, Instant
from app.web.paging import Page
from app.webhooks.inbox import State

_RECORD: dict[str, Any] = {
    "customerId": "ada",
    "subject": "auth0|5f7c8ec7c33c6c004bbafe82",
    "requestId": "a5d0c1a2b3c4d5e6f708192a3b4c5d6e",
    "requestedAt": "2026-01-31T09:30:00Z",
    "answeredAt": "2026-01-31T09:30:01Z",
    "answer": "recorded",
    "erasedAt": "2026-01-31T09:30:01Z",
}


class ForgetView(ApiModel):
    """The result of a request to be forgotten."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "recorded",
                    "erased": ["Stored answers to requests of this customer."],
                    "kept": ["Invoices and credit memos: they can still be opened."],
                    "next": ["Digital River removes personal data when the law no longer requires it."],
                }
            ]
        }
    )

    status: Literal["recorded"]
    """Digital River has recorded the request. A repeated request changes nothing."""
    erased: list[str]
    """The data that this service has erased, as texts for the buyer."""
    kept: list[str]
    """The data that this service keeps, and why."""
    next: list[str]
    """What happens next, and when."""


class ForgetRequest(ApiModel):
    """One request of the customer to be forgotten, and its result."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "requestedAt": "2026-01-31T09:30:00Z",
                    "requestedBy": "auth0|5f7c8ec7c33c6c004bbafe82",
                    "answeredAt": "2026-01-31T09:30:01Z",
                    "answer": "recorded",
                    "erasedAt": "2026-01-31T09:30:01Z",
                }
            ]
        }
    )

    requested_at: Instant
    requested_by: str
    """The subject of the token that made the request."""
    answered_at: Instant | None
    """When Digital River answered; null if it did not."""
    answer: str | None
    """`recorded`: Digital River recorded this request. `recorded before`: it had recorded an earlier one. Any
    other value names the failure; then nothing was erased."""
    erased_at: Instant | None
    """When this service had erased all data that it does not keep."""

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """The view for the customer."""
        return cls(
            requested_at=row["requested_at"],
            requested_by=row["subject"],
            answered_at=row["answered_at"],
            answer=row["answer"],
            erased_at=row["erased_at"],
        )


class ForgetRecord(ApiModel):
    """One request to be forgotten."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECORD]})

    customer_id: str
    subject: str
    """The subject of the token that made the request."""
    request_id: str
    """The id of the HTTP request, to find it in the logs."""
    requested_at: Instant
    answered_at: Instant | None
    answer: str | None
    """Digital River's answer: `recorded`, `recorded before`, or the name of the failure, after which the
    buyer may ask again. Null if the process ended before the answer."""
    erased_at: Instant | None
    """When this service had erased all data that it does not keep."""

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """The view for operators."""
        return cls(**{name: row[name] for name in cls.model_fields})


class ForgetRecordsPage(Page[ForgetRecord]):
    """Requests to be forgotten, the last request first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_RECORD], "nextCursor": None}]})


class DocumentRecord(ApiModel):
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
    """Open the document with `/v1/documents/{id}/content`."""
    kind: DocumentKind
    order_id: str
    file_name: str
    created_at: Instant
    available_since: Instant

    @classmethod
    def of(cls, found: Document) -> Self:
        """The view of the document, without its link."""
        return cls(
            id=found.id,
            kind=found.kind,
            order_id=found.order_id,
            file_name=found.file_name,
            created_at=found.created_at,
            available_since=found.available_since,
        )


class SupportRead(ApiModel):
    """One read of this customer's data by the shop's support."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"at": "2026-01-31T09:30:00Z", "operation": "GET /v1/customers/{customerId}"}]
        }
    )

    at: Instant
    operation: str
    """The method and the route of this API that support called."""

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """The view of the record. It leaves out which employee of the shop it was."""
        return cls(at=row["at"], operation=row["operation"])


class HeldEvent(ApiModel):
    """An event that Digital River sent to the shop."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "order.invoice.created",
                    "orderId": "188418250336",
                    "happenedAt": "2026-01-31T09:30:00.591115Z",
                    "receivedAt": "2026-01-31T09:30:01.100000Z",
                    "state": "buried",
                    "content": {"orderId": "188418250336", "customerId": "ada"},
                }
            ]
        }
    )

    type: str
    order_id: str | None
    happened_at: Instant | None
    received_at: Instant
    state: State
    """`pending` (not handled yet), `done`, `ignored` (not needed) or `buried` (an operator must look at
    it)."""
    content: dict[str, Any] | None
    """The content of the event, if it is still stored, without ids and links that open files and without
    secrets that act in the customer's name."""


class CustomerExport(ApiModel):
    """All data about a customer: the profile, and one list for each kind of data."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customerId": "ada",
                    "profile": None,
                    "taxIdentifiers": [],
                    "taxCertificates": [],
                    "paymentSources": [],
                    "orders": [],
                    "documents": [],
                    "events": [],
                    "supportReads": [],
                    "forgetRequests": [],
                }
            ]
        }
    )

    customer_id: str
    profile: ProfileView | None
    """Null if Digital River does not know the customer."""
    tax_identifiers: list[TaxIdentifierView]
    tax_certificates: list[TaxCertificateView]
    payment_sources: list[PaymentSource]
    orders: list[OrderView]
    documents: list[DocumentRecord]
    events: list[HeldEvent]
    support_reads: list[SupportRead]
    forget_requests: list[ForgetRequest]
