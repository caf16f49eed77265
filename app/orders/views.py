"""Turns Digital River's orders into what frontends see. No content of an order makes this fail."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.digital_river.models import (
    ChargeOperation,
    Fulfillment,
    Order,
    OrderItem,
    Party,
    ProductDetails,
    Refund,
    Source,
)
from app.digital_river.models.payment_methods import label
from app.documents.schemas import OrderDocumentsView
from app.orders.amounts import normalize_amount, normalize_part
from app.orders.refunds import RefundView, refund_view
from app.orders.schemas import (
    AmountsView,
    ItemView,
    LineView,
    OrderSummary,
    OrderView,
    Part,
    PartyView,
    PaymentMethodView,
    SellerView,
    ShippingView,
    StepKind,
    StepView,
    TransactionKind,
    TransactionState,
    TransactionView,
)
from app.orders.status import display_status
from app.orders.tracking import ItemQuantities, quantities_by_item, web_link
from app.web.postal_address import AddressView

LINES_IN_SUMMARY = 3
_MAX_DIGITS_SHOWN = 4
# Digital River docs, Charges: the set of states is open. Every other state counts as pending.
_FINAL_STATES: Mapping[str, TransactionState] = {"complete": "complete", "failed": "failed"}
_EARLIEST = datetime.min.replace(tzinfo=UTC)
# In the order in which the steps can happen: it sorts steps that have the same time, which is frequent.
_STEP_TEXTS: Mapping[tuple[StepKind, str], str] = {
    ("order", "created"): "Order placed",
    ("order", "pending_payment"): "Waiting for the payment",
    ("review", "review_opened"): "Review started",
    ("order", "in_review"): "Order in review",
    ("review", "passed"): "Review passed",
    ("review", "blocked"): "Review not passed",
    ("order", "blocked"): "Order not accepted",
    ("order", "accepted"): "Order accepted",
    ("order", "fulfilled"): "Order shipped",
    ("order", "complete"): "Order complete",
    ("order", "dispute"): "Payment disputed",
    ("order", "returned"): "Order returned",
    ("order", "cancelled"): "Order cancelled",
}
_STEP_RANKS = {step: rank for rank, step in enumerate(_STEP_TEXTS)}


@dataclass(frozen=True, slots=True)
class OrderParts:
    """An order and its parts. A part that could not be read is None."""

    order: Order
    refunds: Sequence[Refund] | None
    fulfillments: Sequence[Fulfillment] | None
    documents: OrderDocumentsView | None
    refunds_left_out: int = 0

    @property
    def incomplete(self) -> list[Part]:
        """The names of the parts that are None or lack entries."""
        payment, order = self.order.payment, self.order
        missing: Mapping[Part, object] = {
            "refunds": self.refunds is None
            or self.refunds_left_out
            or any(refund.unreadable("items") for refund in self.refunds),
            "shipments": self.fulfillments is None,
            "documents": self.documents is None,
            "items": order.unreadable("items"),
            "paymentMethods": payment.unreadable("sources"),
            "transactions": payment.unreadable("charges")
            or any(
                charge.unreadable("captures") or charge.unreadable("cancels") for charge in payment.charges
            ),
            "timeline": order.unreadable("state_transitions") or order.unreadable("fraud_state_transitions"),
        }
        return [part for part, is_missing in missing.items() if is_missing]


def order_summary(order: Order) -> OrderSummary:
    """The order as a list shows it."""
    return OrderSummary(
        id=order.id,
        created_at=order.created_time,
        display_status=display_status(order),
        state=order.state,
        currency=order.currency,
        total_amount=normalize_amount(order.total_amount, order.currency),
        refunded_amount=normalize_amount(order.refunded_amount, order.currency),
        item_count=len(order.items) + order.unreadable("items"),
        items=[_line(item) for item in order.items[:LINES_IN_SUMMARY]],
    )


def order_view(parts: OrderParts, *, for_buyer: bool) -> OrderView:
    """The order page. `for_buyer`: the buyer reads it, and not support."""
    order, currency = parts.order, parts.order.currency
    quantities = None if parts.fulfillments is None else quantities_by_item(parts.fulfillments)
    return OrderView(
        id=order.id,
        created_at=order.created_time,
        updated_at=order.updated_time,
        display_status=display_status(order),
        state=order.state,
        currency=currency,
        locale=order.locale,
        email=order.email,
        items=[_item(item, currency, quantities) for item in order.items],
        amounts=_amounts(order),
        ship_to=_party(order.ship_to),
        bill_to=_party(order.bill_to),
        shipping=_shipping(order),
        payment_methods=[_method(source, currency) for source in order.payment.sources],
        transactions=_transactions(order),
        timeline=timeline(order),
        refunds=None if parts.refunds is None else refund_views(parts.refunds, order, for_buyer=for_buyer),
        documents=parts.documents,
        seller=SellerView(id=order.selling_entity.id, name=order.selling_entity.name),
        incomplete=parts.incomplete,
    )


def refund_views(refunds: Iterable[Refund], order: Order, *, for_buyer: bool) -> list[RefundView]:
    """The refunds of the order, in the order given. `for_buyer`: the buyer reads them, and not support."""
    return [refund_view(refund, currency=order.currency, for_buyer=for_buyer) for refund in refunds]


def timeline(order: Order) -> list[StepView]:
    """The changes of the order's own state and of its fraud review, oldest first."""
    return sorted(_steps(order), key=_step_order)


def _step_order(step: StepView) -> tuple[datetime, int]:
    return step.at, _STEP_RANKS.get((step.kind, step.state), len(_STEP_RANKS))


def _steps(order: Order) -> Iterator[StepView]:
    if order.created_time is not None and "created" not in order.state_transitions:
        yield _step("order", "created", order.created_time)
    for state, at in order.state_transitions.items():
        yield _step("order", state, at)
    for state, at in order.fraud_state_transitions.items():
        yield _step("review", state, at)


def _step(kind: StepKind, state: str, at: datetime) -> StepView:
    # Digital River adds states at any time (docs, Versioning). A state without a text shows its name.
    text = _STEP_TEXTS.get((kind, state)) or state.replace("_", " ").strip().capitalize()
    return StepView(at=at, kind=kind, state=state, text=text)


def _line(item: OrderItem) -> LineView:
    product = item.product_details or ProductDetails()
    return LineView(name=product.name, image_url=web_link(product.image), quantity=item.quantity)


def _item(
    item: OrderItem, currency: str | None, quantities: Mapping[str | None, ItemQuantities] | None
) -> ItemView:
    product = item.product_details or ProductDetails()
    item_quantities = None if quantities is None else quantities.get(item.id, ItemQuantities())
    return ItemView(
        id=item.id,
        sku_id=item.sku_id,
        name=product.name,
        description=product.description,
        image_url=web_link(product.image),
        product_url=web_link(product.url),
        quantity=item.quantity,
        amount=normalize_amount(item.amount, currency),
        tax=normalize_part(item.tax, currency),
        importer_tax=normalize_part(item.importer_tax, currency),
        duty=normalize_part(item.duties, currency),
        fees=normalize_part(item.fees, currency),
        shipping=normalize_part(item.shipping, currency),
        state=item.state,
        shipped_quantity=None if item_quantities is None else item_quantities.shipped,
        cancelled_quantity=None if item_quantities is None else item_quantities.cancelled,
    )


def _amounts(order: Order) -> AmountsView:
    currency = order.currency
    return AmountsView(
        total=normalize_amount(order.total_amount, currency),
        subtotal=normalize_amount(order.subtotal, currency),
        tax=normalize_amount(order.total_tax, currency),
        importer_tax=normalize_amount(order.total_importer_tax, currency),
        duty=normalize_amount(order.total_duty, currency),
        fees=normalize_amount(order.total_fees, currency),
        discount=normalize_amount(order.total_discount, currency),
        shipping=normalize_amount(order.total_shipping, currency),
        captured=normalize_amount(order.captured_amount, currency),
        cancelled=normalize_amount(order.cancelled_amount, currency),
        refunded=normalize_amount(order.refunded_amount, currency),
        available_to_refund=normalize_amount(order.available_to_refund_amount, currency),
    )


def _party(party: Party | None) -> PartyView | None:
    if party is None:
        return None
    return PartyView(
        name=party.name,
        organization=party.organization,
        phone=party.phone,
        email=party.email,
        address=AddressView.of(party.address),
    )


def _shipping(order: Order) -> ShippingView | None:
    choice = order.shipping_choice
    if choice is None:
        return None
    return ShippingView(
        description=choice.description,
        amount=normalize_amount(choice.amount, order.currency),
        tax=normalize_amount(choice.tax_amount, order.currency),
    )


def _method(source: Source, currency: str | None) -> PaymentMethodView:
    # At most four digits, even if Digital River sends the whole number.
    last_four = (source.details.last_four_digits or "")[-_MAX_DIGITS_SHOWN:] or None
    return PaymentMethodView(
        label=label(source.type, brand=source.details.brand, last_four=last_four),
        type=source.type,
        brand=source.details.brand,
        last_four=last_four,
        amount=normalize_amount(source.amount, source.currency or currency),
    )


def _transactions(order: Order) -> list[TransactionView]:
    transactions: list[TransactionView] = []
    for charge in order.payment.charges:
        currency = charge.currency or order.currency
        transactions += [_transaction("charged", capture, currency) for capture in charge.captures]
        transactions += [_transaction("released", cancel, currency) for cancel in charge.cancels]
    return sorted(transactions, key=lambda transaction: transaction.at or _EARLIEST)


def _transaction(kind: TransactionKind, operation: ChargeOperation, currency: str | None) -> TransactionView:
    return TransactionView(
        kind=kind,
        at=operation.created_time,
        amount=normalize_amount(operation.amount, currency),
        state=_FINAL_STATES.get(operation.state or "", "pending"),
    )
