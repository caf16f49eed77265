"""The models of payment sources, and of charges with their captures, cancellations and refunds."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, Field

from app.digital_river.models.parties import SourceOwner
from app.digital_river.models.tolerant_model import (
    Amount,
    DigitalRiverModel,
    Identifier,
    Instant,
    ListOf,
    Metadata,
    Number,
    Resource,
)


class SourceDetails(DigitalRiverModel):
    """What may be shown of a payment method: brand, last four digits and expiry, if it has them."""

    brand: str | None = None
    last_four_digits: str | None = None
    expiration_month: Number | None = None
    expiration_year: Number | None = None


class Source(Resource):
    """A payment method of any type, also of types that the portal does not know.

    The model does not read the client secret and the data of the processor, so they cannot leak.
    """

    type: str | None = None
    state: str | None = Field(None, validation_alias=AliasChoices("state", "status"))
    flow: str | None = None
    reusable: bool | None = None
    owner: SourceOwner | None = None
    customer_id: Identifier | None = None
    amount: Amount | None = None
    currency: str | None = None
    details: SourceDetails = SourceDetails()
    created_time: Instant | None = Field(None, validation_alias=AliasChoices("createdTime", "creationDate"))
    updated_time: Instant | None = None
    expiration_time: Instant | None = None
    metadata: Metadata = Field(default_factory=dict)

    @classmethod
    def _normalized(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        # Sources page: a hash named after the type, such as `creditCard`, holds the details.
        fields = super()._normalized(data)
        details = fields.get(str(fields.get("type")))
        return {**fields, "details": details} if isinstance(details, Mapping) else fields


class ChargeOperation(DigitalRiverModel):
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
    """One attempt to take money from one source. Captures, cancels and refunds never change `amount`."""

    created_time: Instant | None = None
    order_id: str | None = None
    source_id: str | None = None
    currency: str | None = None
    amount: Amount | None = None
    state: str | None = None
    type: str | None = None
    captured: bool | None = None
    refunded: bool | None = None
    captures: ListOf[ChargeOperation] = ()
    cancels: ListOf[ChargeOperation] = ()
    refunds: ListOf[ChargeOperation] = ()
    failure_code: str | None = None
    failure_message: str | None = None


class PaymentSession(DigitalRiverModel):
    """The progress of an order's payment. The model does not read its client secret."""

    id: str | None = None
    state: str | None = None
    amount_contributed: Number | None = None
    amount_remaining_to_be_contributed: Number | None = None


class OrderPayment(DigitalRiverModel):
    """The payment part of an order (versions from 2021-03-23)."""

    sources: ListOf[Source] = ()
    charges: ListOf[Charge] = ()
    session: PaymentSession | None = None
