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
    """What became of a request to be forgotten."""

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
    """Digital River knows of the request. Asking again changes nothing."""
    erased: list[str]
    """What is gone from this service now; fit for a buyer's eyes."""
    kept: list[str]
    """What stays, and why."""
    next: list[str]
    """What will happen, and when."""


class ForgetRequest(ApiModel):
    """One time that the customer asked to be forgotten, and what came of it."""

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
    """The subject of the token."""
    answered_at: Instant | None
    """When Digital River answered; null when it did not."""
    answer: str | None
    """`recorded`: Digital River noted it then. `recorded before`: it had noted it already. Else what the
    failure was; nothing was erased then."""
    erased_at: Instant | None
    """When everything that is not kept was gone from this service."""

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
    """By whom: the subject of the token."""
    request_id: str
    """Finds the request in the logs."""
    requested_at: Instant
    answered_at: Instant | None
    answer: str | None
    """What Digital River answered: `recorded`, `recorded before`, or the failure, after which the buyer may
    ask again. Null: the process died meanwhile."""
    erased_at: Instant | None
    """When everything that is not kept was gone from this service."""

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """The view for operators."""
        return cls(**{name: row[name] for name in cls.model_fields})


class ForgetRecordsPage(Page[ForgetRecord]):
    """Requests to be forgotten, the last one first."""

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
    """Opens it: `/v1/documents/{id}/content`."""
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
    """One look of the shop's support at something of this customer's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"at": "2026-01-31T09:30:00Z", "operation": "GET /v1/customers/{customerId}"}]
        }
    )

    at: Instant
    operation: str
    """What was asked for: the method and the route of this API."""

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """The view of the record. It leaves out which employee of the shop it was."""
        return cls(at=row["at"], operation=row["operation"])


class HeldEvent(ApiModel):
    """Something that Digital River has notified the shop of."""

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
    """`pending` (not handled yet), `done`, `ignored` (not needed) or `buried` (an operator must look)."""
    content: dict[str, Any] | None
    """What it said, as far as it is still held, without what opens files or acts in the customer's name."""


class CustomerExport(ApiModel):
    """Everything about a customer: who it is, and one list for each kind of thing."""

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
    """Null when Digital River does not know the customer."""
    tax_identifiers: list[TaxIdentifierView]
    tax_certificates: list[TaxCertificateView]
    payment_sources: list[PaymentSource]
    orders: list[OrderView]
    documents: list[DocumentRecord]
    events: list[HeldEvent]
    support_reads: list[SupportRead]
    forget_requests: list[ForgetRequest]
