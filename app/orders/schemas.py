"""The published models of orders, in a list and on their own page. `views` makes them."""

from typing import Any, Literal

from pydantic import ConfigDict

from app.documents.schemas import OrderDocumentsView
from app.orders.refunds import REFUND_EXAMPLE, RefundView
from app.orders.status import DisplayStatus
from app.web.api_model import ApiModel, Instant, Money
from app.web.paging import PartialPage
from app.web.postal_address import ADDRESS_EXAMPLE, AddressView

Part = Literal["refunds", "shipments", "documents", "items", "paymentMethods", "transactions", "timeline"]
StepKind = Literal["order", "review"]
TransactionKind = Literal["charged", "released"]
TransactionState = Literal["pending", "complete", "failed"]

_LINE: dict[str, Any] = {
    "name": "Desk lamp",
    "imageUrl": "https://shop.example/lamp.jpg",
    "quantity": 2,
}
_ORDER: dict[str, Any] = {
    "id": "188418250336",
    "createdAt": "2026-01-31T09:29:50Z",
    "displayStatus": "partiallyRefunded",
    "state": "complete",
    "currency": "USD",
}
_SUMMARY: dict[str, Any] = {
    **_ORDER,
    "totalAmount": "112.81",
    "refundedAmount": "33.00",
    "itemCount": 1,
    "items": [_LINE],
}
_PARTY: dict[str, Any] = {
    "name": "Ada Byron",
    "organization": None,
    "phone": None,
    "email": "ada@example.com",
    "address": ADDRESS_EXAMPLE,
}
_ITEM: dict[str, Any] = {
    **_LINE,
    "id": "127910100336",
    "skuId": "lamp-1",
    "description": "A lamp for a desk",
    "productUrl": "https://shop.example/lamp",
    "amount": "99.80",
    "tax": "8.01",
    "importerTax": "0.00",
    "duty": "0.00",
    "fees": "0.00",
    "shipping": "5.00",
    "state": "fulfilled",
    "shippedQuantity": 2,
    "cancelledQuantity": 0,
}
_AMOUNTS: dict[str, Any] = {
    "total": "112.81",
    "subtotal": "104.80",
    "tax": "8.01",
    "importerTax": "0.00",
    "duty": "0.00",
    "fees": "0.00",
    "discount": "0.00",
    "shipping": "5.00",
    "captured": "112.81",
    "cancelled": "0.00",
    "refunded": "33.00",
    "availableToRefund": "79.81",
}
_METHOD: dict[str, Any] = {
    "label": "Visa ending in 1111",
    "type": "creditCard",
    "brand": "Visa",
    "lastFour": "1111",
    "amount": "112.81",
}
_TRANSACTION: dict[str, Any] = {
    "kind": "charged",
    "at": "2026-01-31T09:30:10Z",
    "amount": "112.81",
    "state": "complete",
}
_STEP: dict[str, Any] = {
    "at": "2026-01-31T09:30:00Z",
    "kind": "order",
    "state": "accepted",
    "text": "Order accepted",
}
_SHIPPING: dict[str, Any] = {"description": "Standard", "amount": "5.00", "tax": "0.40"}
_SELLER: dict[str, Any] = {"id": "DR_INC-ENTITY", "name": "Digital River Inc."}


class LineView(ApiModel):
    """One line of an order, with what a list shows of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE]})

    name: str | None
    image_url: str | None
    quantity: int | None


class OrderSummary(ApiModel):
    """An order in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY]})

    id: str
    created_at: Instant | None
    display_status: DisplayStatus
    state: str | None
    """Digital River's name of the state, for filtering. More values may be added, so show `displayStatus`."""
    currency: str | None
    total_amount: Money | None
    refunded_amount: Money | None
    item_count: int
    """How many lines the order has."""
    items: list[LineView]
    """The first three lines."""


class OrdersPage(PartialPage[OrderSummary]):
    """One page of a customer's orders."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_SUMMARY], "nextCursor": None, "unreadable": 0}]}
    )


class PartyView(ApiModel):
    """The recipient of the order, or the person or company that pays for it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PARTY]})

    name: str | None
    organization: str | None
    phone: str | None
    email: str | None
    address: AddressView | None


class ItemView(LineView):
    """One line of an order. Each amount is for the whole quantity."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ITEM]})

    id: str
    sku_id: str | None
    description: str | None
    product_url: str | None
    amount: Money | None
    """Without tax, unless the shop's prices include it."""
    tax: Money | None
    importer_tax: Money | None
    duty: Money | None
    fees: Money | None
    shipping: Money | None
    state: str | None
    """Digital River's name of the state. More values may be added."""
    shipped_quantity: int | None
    """Null if the shipments cannot be read."""
    cancelled_quantity: int | None
    """Null if the shipments cannot be read."""


class AmountsView(ApiModel):
    """All amounts of the order, in its currency. An amount is null if it is not known."""

    model_config = ConfigDict(json_schema_extra={"examples": [_AMOUNTS]})

    total: Money | None
    """The price of the order when it was placed. It never changes."""
    subtotal: Money | None
    tax: Money | None
    importer_tax: Money | None
    duty: Money | None
    fees: Money | None
    discount: Money | None
    shipping: Money | None
    captured: Money | None
    """What the buyer has been charged so far."""
    cancelled: Money | None
    """What the buyer will not be charged any more."""
    refunded: Money | None
    available_to_refund: Money | None


class ShippingView(ApiModel):
    """The shipping method that the buyer chose."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHIPPING]})

    description: str | None
    amount: Money | None
    tax: Money | None


class PaymentMethodView(ApiModel):
    """A payment method, with what a buyer needs to recognise it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_METHOD]})

    label: str
    """An English text for buyers."""
    type: str | None
    """Digital River's name of the type, for an icon or a text of yours. More values may be added."""
    brand: str | None
    last_four: str | None
    amount: Money | None
    """The part of the order's total that this method pays."""


class TransactionView(ApiModel):
    """A charge (`charged`), or the release of money that will not be charged (`released`)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TRANSACTION]})

    kind: TransactionKind
    at: Instant | None
    amount: Money | None
    state: TransactionState


class StepView(ApiModel):
    """A change of the order's state, or of the state of its review."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STEP]})

    at: Instant
    kind: StepKind
    """`order`: the state of the order changed. `review`: the state of its fraud review changed."""
    state: str
    """Digital River's name of the state. More values may be added."""
    text: str
    """An English text for buyers."""


class SellerView(ApiModel):
    """The company that sold the order. The invoice and the legal notices name it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SELLER]})

    id: str | None
    name: str | None


class OrderView(ApiModel):
    """The data of an order page."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _ORDER
                | {"updatedAt": "2026-02-03T10:00:00Z", "email": "ada@example.com", "locale": "en_US"}
                | {"amounts": _AMOUNTS, "items": [_ITEM], "shipTo": _PARTY, "billTo": _PARTY}
                | {"shipping": _SHIPPING, "seller": _SELLER, "paymentMethods": [_METHOD]}
                | {"transactions": [_TRANSACTION], "timeline": [_STEP], "refunds": [REFUND_EXAMPLE]}
                | {"documents": None, "incomplete": ["documents"]}
            ]
        }
    )

    id: str
    created_at: Instant | None
    updated_at: Instant | None
    display_status: DisplayStatus
    state: str | None
    """Digital River's name of the state. More values may be added, so show `displayStatus`."""
    currency: str | None
    locale: str | None
    email: str | None
    items: list[ItemView]
    amounts: AmountsView
    ship_to: PartyView | None
    bill_to: PartyView | None
    shipping: ShippingView | None
    payment_methods: list[PaymentMethodView]
    transactions: list[TransactionView]
    """Oldest first. Refunds are in `refunds`."""
    timeline: list[StepView]
    """Oldest first."""
    refunds: list[RefundView] | None
    """Newest first. Null if they cannot be read."""
    documents: OrderDocumentsView | None
    """Null if they cannot be read."""
    seller: SellerView
    incomplete: list[Part]
    """The parts that could not be read, or not completely: they are null, or lack entries. `shipments` stands
    for the shipped and cancelled quantities. Empty if the document is complete."""
