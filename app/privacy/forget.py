"""Handles a request to be forgotten: records it at Digital River, then erases the customer's data here."""

import structlog

from app.db.engine import AsyncEngine
from app.digital_river.api import customers
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import DigitalRiverError
from app.digital_river.models import CustomerChanges
from app.idempotency import store as idempotency
from app.ids import CustomerId
from app.privacy import store
from app.privacy.schemas import ForgetView
from app.tax import store as tax
from app.web.problems import BadGateway

ERASED = (
    "The stored answers to your requests.",
    "Copies of tax identifiers and certificates that are on their way.",
)
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


async def forget(
    engine: AsyncEngine, client: DigitalRiverClient, customer_id: CustomerId, *, subject: str, request_id: str
) -> ForgetView:
    """Record the request here, then at Digital River, then erase. After an error the buyer may ask again:
    every step may be repeated.

    Raises:
        DigitalRiverError, BadGateway: Digital River could not record it; then nothing is erased.
    """
    async with engine.begin() as connection:
        record_id = await store.insert_forget_request(
            connection, customer_id, subject=subject, request_id=request_id
        )
    try:
        answer = await _request_at_digital_river(client, customer_id)
    except (DigitalRiverError, BadGateway) as error:
        await _store_answer(engine, record_id, type(error).__name__)
        raise
    await _store_answer(engine, record_id, answer)
    async with engine.begin() as connection:
        await idempotency.delete_responses(connection, customer_id)
        await tax.delete_customer_rows(connection, customer_id)
        await store.set_erased(connection, record_id)
    log.info("customer.forget_recorded")
    return ForgetView(status="recorded", erased=list(ERASED), kept=list(KEPT), next=list(NEXT))


async def _request_at_digital_river(client: DigitalRiverClient, customer_id: CustomerId) -> str:
    customer = await customers.ensure_customer(client, customer_id)
    if customer.request_to_be_forgotten:
        return "recorded before"
    changes = CustomerChanges(request_to_be_forgotten=True)
    changed = await customers.update_customer(client, customer_id, changes)
    if not changed.request_to_be_forgotten:
        raise BadGateway("Your request could not be recorded. Please try again.")
    return "recorded"


async def _store_answer(engine: AsyncEngine, record_id: int, answer: str) -> None:
    async with engine.begin() as connection:
        await store.set_answer(connection, record_id, answer)
