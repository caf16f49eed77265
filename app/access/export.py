"""What a customer is told about who looked at their data: when and at what, not who of the shop's people."""

from collections.abc import Collection, Sequence

from pydantic import ConfigDict

from app.access import audit_log
from app.ids import CustomerId
from app.resources import Resources
from app.web.contract import Contract, Instant


class SupportRead(Contract):
    """One look of the shop's support at something of this customer's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"at": "2026-01-31T09:30:00Z", "operation": "GET /v1/customers/{customerId}"}]
        }
    )

    at: Instant
    operation: str
    """What was asked for: the method and the route of this API."""


async def list_support_reads(
    resources: Resources, customer_id: CustomerId, things: Collection[str]
) -> Sequence[SupportRead]:
    """All looks of support at this customer or at these orders and documents, the last one first."""
    async with resources.engine.connect() as connection:
        rows = await audit_log.list_records(connection, customer_id, things)
    return [SupportRead(at=row["at"], operation=row["operation"]) for row in rows]
