"""The models of orders, with their lines and references to PDF files."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from app.digital_river.models.customers import TaxIdentifier
from app.digital_river.models.parties import Party
from app.digital_river.models.payments import OrderPayment
from app.digital_river.models.tolerant_model import (
    Amount,
    DigitalRiverModel,
    Identifier,
    Instant,
    ListOf,
    Metadata,
    Number,
    Quantity,
    Resource,
    Transitions,
)


class ProductDetails(DigitalRiverModel):
    """The description of a product."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    url: str | None = None
    image: str | None = None
    part_number: str | None = None
    sku_group_id: str | None = None
    country_of_origin: str | None = None


class LineTax(DigitalRiverModel):
    """Tax, duty, fee or shipping cost of a line. `rate` is a fraction (0.08025)."""

    rate: Number | None = None
    amount: Amount | None = None
    tax_amount: Amount | None = None


class Discount(DigitalRiverModel):
    """A reduction, given as an amount or as a percentage."""

    amount_off: Number | None = None
    percent_off: Number | None = None
    quantity: Number | None = None


class OrderItem(Resource):
    """One line. `amount` is for the whole quantity, without tax unless the order is tax inclusive."""

    sku_id: str | None = None
    product_details: ProductDetails | None = None
    quantity: Quantity | None = None
    amount: Amount | None = None
    available_to_refund_amount: Amount | None = None
    state: str | None = None
    state_transitions: Transitions = Field(default_factory=dict)
    tax: LineTax | None = None
    importer_tax: LineTax | None = None
    duties: LineTax | None = None
    fees: LineTax | None = None
    shipping: LineTax | None = None
    discount: Discount | None = None
    metadata: Metadata = Field(default_factory=dict)


class PdfReference(Resource):
    """An invoice or credit memo. `id` is the file id. The URL is not read: it needs our key."""


class SellingEntity(DigitalRiverModel):
    """The company of Digital River that sold; empty until known."""

    id: str | None = None
    name: str | None = None


class ShippingChoice(DigitalRiverModel):
    """The shipping method that the buyer chose."""

    id: str | None = None
    description: str | None = None
    service_level: str | None = None
    shipping_terms: str | None = None
    amount: Amount | None = None
    tax_amount: Amount | None = None


class Order(Resource):
    """An order of API version 2021-12-13 (Orders page); guests have no customer id."""

    checkout_id: str | None = None
    customer_id: Identifier | None = None
    upstream_id: str | None = None
    created_time: Instant | None = None
    updated_time: Instant | None = None

    state: str | None = None
    state_transitions: Transitions = Field(default_factory=dict)
    fraud_state: str | None = None
    fraud_state_transitions: Transitions = Field(default_factory=dict)
    cancel_reason: str | None = None

    currency: str | None = None
    subtotal: Amount | None = None
    total_tax: Amount | None = None
    total_importer_tax: Amount | None = None
    total_duty: Amount | None = None
    total_fees: Amount | None = None
    total_discount: Amount | None = None
    total_shipping: Amount | None = None
    total_amount: Amount | None = None
    captured_amount: Amount | None = None
    cancelled_amount: Amount | None = None
    refunded_amount: Amount | None = None
    available_to_refund_amount: Amount | None = None

    items: ListOf[OrderItem] = ()
    payment: OrderPayment = OrderPayment()
    invoice_pdfs: ListOf[PdfReference] = Field((), alias="invoicePDFs")
    credit_memo_pdfs: ListOf[PdfReference] = Field((), alias="creditMemoPDFs")

    email: str | None = None
    ship_to: Party | None = None
    ship_from: Party | None = None
    bill_to: Party | None = None
    shipping_choice: ShippingChoice | None = None

    locale: str | None = None
    language: str | None = None
    customer_type: str | None = None
    charge_type: str | None = None
    tax_identifiers: ListOf[TaxIdentifier] = ()
    selling_entity: SellingEntity = SellingEntity()
    request_to_be_forgotten: bool = False
    metadata: Metadata = Field(default_factory=dict)

    @classmethod
    def _normalized(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        # Events of webhooks pinned below 2021-03-23 carry the charges at the top (API basics, versioning).
        fields = super()._normalized(data)
        charges, payment = fields.pop("charges", None), fields.get("payment", {})
        if charges is not None and isinstance(payment, Mapping):
            fields["payment"] = {"charges": charges, **payment}
        return fields
