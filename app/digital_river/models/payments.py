"""How something was or will be paid: sources, charges and what became of them."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, Field

from app.digital_river.models.parties import Owner
from app.digital_river.models.reading import (
    Amount,
    FarSideModel,
    Identifier,
    Instant,
    Many,
    Metadata,
    Number,
    Resource,
)


class SourceDetails(FarSideModel):
    """What may be shown of a payment method: its brand, last four digits and expiry, where it has them."""

    brand: str | None = None
    last_four_digits: str | None = None
    expiration_month: Number | None = None
    expiration_year: Number | None = None


class Source(Resource):
    """A payment method of any type, known to us or not.

    The client secret and processor data are left unread on purpose: what is not here cannot leak.
    """

    type: str | None = None
    state: str | None = Field(None, validation_alias=AliasChoices("state", "status"))
    flow: str | None = None
    reusable: bool | None = None
    owner: Owner | None = None
    customer_id: Identifier | None = None
    amount: Amount | None = None
    currency: str | None = None
    details: SourceDetails = SourceDetails()
    created_time: Instant | None = Field(None, validation_alias=AliasChoices("createdTime", "creationDate"))
    updated_time: Instant | None = None
    expiration_time: Instant | None = None
    metadata: Metadata = Field(default_factory=dict)

    @classmethod
    def _arranged(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        # Sources page: a hash named after the type, such as `creditCard`, holds the details.
        told = super()._arranged(data)
        details = told.get(str(told.get("type")))
        return {**told, "details": details} if isinstance(details, Mapping) else told


class ChargeOperation(FarSideModel):
    """A capture, cancellation or refund of a charge; refunds inside a refund come without an id."""

    id: str | None = None
    created_time: Instant | None = None
    updated_time: Instant | None = None
    amount: Amount | None = None
    state: str | None = None
    fulfillment_id: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None


class Charge(Resource):
    """One attempt to take money from one source. The amount never changes; the operations tell the rest."""

    created_time: Instant | None = None
    order_id: str | None = None
    source_id: str | None = None
    currency: str | None = None
    amount: Amount | None = None
    state: str | None = None
    type: str | None = None
    captured: bool | None = None
    refunded: bool | None = None
    captures: Many[ChargeOperation] = ()
    cancels: Many[ChargeOperation] = ()
    refunds: Many[ChargeOperation] = ()
    failure_code: str | None = None
    failure_message: str | None = None


class PaymentSession(FarSideModel):
    """How far the payment of an order has come; its client secret stays unread."""

    id: str | None = None
    state: str | None = None
    amount_contributed: Number | None = None
    amount_remaining_to_be_contributed: Number | None = None


class OrderPayment(FarSideModel):
    """The payment part of an order (versions from 2021-03-23)."""

    sources: Many[Source] = ()
    charges: Many[Charge] = ()
    session: PaymentSession | None = None
