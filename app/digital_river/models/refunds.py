"""Money on its way back to a buyer."""

from pydantic import Field

from app.digital_river.models.payments import Charge
from app.digital_river.models.reading import (
    Amount,
    FarSideModel,
    Identifier,
    Instant,
    Many,
    Metadata,
    Quantity,
    Resource,
)


class TokenInformation(FarSideModel):
    """What lets a buyer hand in bank data for a refund, and until when. The token is only for that buyer."""

    token: str | None = Field(None, repr=False)
    expires_time: Instant | None = None


class RefundItem(FarSideModel):
    """The part of a refund that concerns one line of the order."""

    item_id: Identifier | None = None
    sku_id: str | None = None
    quantity: Quantity | None = None
    amount: Amount | None = None
    refunded_amount: Amount | None = None
    state: str | None = None
    type: str | None = None


class Refund(Resource):
    """A refund of an order: `pending`, `pending_information`, `succeeded`, `failed` or `expired`."""

    order_id: Identifier | None = None
    currency: str | None = None
    amount: Amount | None = None
    refunded_amount: Amount | None = None
    type: str | None = None
    reason: str | None = None
    failure_reason: str | None = None
    state: str | None = None
    token_information: TokenInformation | None = None
    items: Many[RefundItem] = ()
    charges: Many[Charge] = ()
    metadata: Metadata = Field(default_factory=dict)
    created_time: Instant | None = None
