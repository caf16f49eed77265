"""What happens when a buyer asks to be forgotten: recorded at Digital River, erased here."""

from collections.abc import Mapping

import structlog

from app.customers.neighbours import Eraser
from app.customers.schemas import ForgetView
from app.digital_river import customers
from app.digital_river.models import CustomerChanges
from app.ids import CustomerId
from app.resources import Resources

KEPT = (
    "Invoices and credit memos: the law requires them, and you can still open them.",
    "The record of when our support looked at your data.",
    "What Digital River has notified us of: for 45 days, or until an operator has looked at what failed.",
)
NEXT = (
    "Digital River, the merchant of record, has noted your request and removes your personal data when legal "
    "and business obligations end.",
    "Until then your account, your orders and your documents stay as they are.",
)

log = structlog.get_logger()


async def forget(resources: Resources, customer_id: CustomerId, erasers: Mapping[str, Eraser]) -> ForgetView:
    """Record the request, then erase. Whoever gets an error may simply ask again: both steps are repeatable.

    Raises:
        DigitalRiverError: the request could not be recorded; nothing is erased then.
    """
    customer = await customers.ensure_customer(resources.far, customer_id)
    if not customer.request_to_be_forgotten:
        changes = CustomerChanges(request_to_be_forgotten=True)
        await customers.update_customer(resources.far, customer_id, changes)
    for erase in erasers.values():
        await erase(resources, customer_id)
    log.info("customer.forget_recorded")
    return ForgetView(status="recorded", erased=list(erasers), kept=list(KEPT), next=list(NEXT))
