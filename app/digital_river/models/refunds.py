"""The models of refunds."""

from pydantic import Field

from app.digital_river.models.payments import Charge
from app.digital_river.models.tolerant_model import (
    Amount,
    DigitalRiverModel,
    Identifier,
    Instant,
    ListOf,
    Metadata,
    Quantity,
    Resource,
)


class TokenInformation(DigitalRiverModel):
    """A token with which a buyer enters bank data for a refund, and its expiry. Only the buyer may see it."""

    token: str | None = Field(None, repr=False)
    expires_time: Instant | None = None


class RefundItem(DigitalRiverModel):
    """The part of a refund for one line of the order."""

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
    items: ListOf[RefundItem] = ()
    charges: ListOf[Charge] = ()
    metadata: Metadata = Field(default_factory=dict)
    created_time: Instant | None = None
