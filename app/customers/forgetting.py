"""What happens when a buyer asks to be forgotten: recorded at Digital River, erased here."""

from collections.abc import Mapping, Sequence

import structlog
from pydantic import ConfigDict

from app.customers import store
from app.customers.neighbours import Eraser
from app.customers.schemas import ForgetView
from app.digital_river import customers
from app.digital_river.errors import DigitalRiverError
from app.digital_river.models import CustomerChanges
from app.ids import CustomerId
from app.resources import Resources
from app.web.contract import Contract, Instant
from app.web.problems import BadGateway

KEPT = (
    "Invoices and credit memos: the law requires them, and you can still open them.",
    "The record of when our support looked at your data, and of this request.",
    "What Digital River has notified us of: for 45 days, or until an operator has looked at what failed.",
)
NEXT = (
    "Digital River, the merchant of record, has noted your request and removes your personal data when legal "
    "and business obligations end.",
    "Until then your account, your orders and your documents stay as they are.",
)

log = structlog.get_logger()


class ForgetRequest(Contract):
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


async def forget(
    resources: Resources,
    customer_id: CustomerId,
    erasers: Mapping[str, Eraser],
    *,
    subject: str,
    request_id: str,
) -> ForgetView:
    """Record the request here, then at Digital River, then erase. Whoever gets an error may simply ask again:
    all steps are repeatable.

    Raises:
        DigitalRiverError, BadGateway: Digital River could not record it; nothing is erased then.
    """
    record_id = await store.keep_forget_request(
        resources.engine, customer_id, subject=subject, request_id=request_id
    )
    try:
        answer = await _ask_digital_river(resources, customer_id)
    except (DigitalRiverError, BadGateway) as error:
        await store.keep_forget_answer(resources.engine, record_id, type(error).__name__)
        raise
    await store.keep_forget_answer(resources.engine, record_id, answer)
    for erase in erasers.values():
        await erase(resources, customer_id)
    await store.keep_erasure(resources.engine, record_id)
    log.info("customer.forget_recorded")
    return ForgetView(status="recorded", erased=list(erasers), kept=list(KEPT), next=list(NEXT))


async def _ask_digital_river(resources: Resources, customer_id: CustomerId) -> str:
    customer = await customers.ensure_customer(resources.far, customer_id)
    if customer.request_to_be_forgotten:
        return "recorded before"
    changes = CustomerChanges(request_to_be_forgotten=True)
    changed = await customers.update_customer(resources.far, customer_id, changes)
    if not changed.request_to_be_forgotten:
        raise BadGateway("Your request could not be recorded. Please try again.")
    return "recorded"


async def list_forget_requests(resources: Resources, customer_id: CustomerId) -> Sequence[ForgetRequest]:
    """All requests of the customer, for the export, the last one first."""
    rows = await store.list_forget_requests(resources.engine, customer_id)
    return [
        ForgetRequest(
            requested_at=row["requested_at"],
            requested_by=row["subject"],
            answered_at=row["answered_at"],
            answer=row["answer"],
            erased_at=row["erased_at"],
        )
        for row in rows
    ]
