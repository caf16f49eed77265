"""All saved payment methods of a customer, for the export: the same projection as everywhere."""

from collections.abc import Sequence
from datetime import UTC, datetime

from app.ids import CustomerId
from app.payment_sources import service
from app.payment_sources.schemas import PaymentSource, view
from app.resources import Resources


async def list_payment_sources(resources: Resources, customer_id: CustomerId) -> Sequence[PaymentSource]:
    """Everything saved; nothing for somebody Digital River does not know."""
    saved = await service.list_sources(resources, customer_id)
    now = datetime.now(UTC)
    return [view(one.source, is_default=one.is_default, now=now) for one in saved.all()]
