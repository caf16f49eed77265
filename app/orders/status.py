"""Derives the status that a buyer sees from the order alone, so that the list and the order page agree."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from app.digital_river.models import Order, OrderItem

# Digital River docs, Orders: the states that follow the review.
_AFTER_REVIEW = frozenset(
    {"accepted", "fulfilled", "complete", "returned", "cancelled", "blocked", "dispute"}
)
_SHIPPED_STATES = frozenset({"fulfilled", "complete", "returned"})
_STATES_NEEDING_PAYMENT = frozenset({"in_review", "accepted", "cancelled"})
# Digital River docs, Payment sessions: the states in which the buyer still has to do something.
_OPEN_SESSION_STATES = frozenset(
    {"requires_source", "requires_confirmation", "requires_action", "pending_redirect", "pending_funds"}
)
_SHIPPED_ITEM_STATES = frozenset({"fulfilled", "paid", "returned"})
_SETTLED_ITEM_STATES = _SHIPPED_ITEM_STATES | {"cancelled"}
# The states of a successful order after `accepted`, and the states to which a resolved dispute can lead.
_STATES_FURTHEST_FIRST = ("returned", "complete", "fulfilled")
_AFTER_DISPUTE = frozenset({"accepted", "fulfilled", "complete"})


class DisplayStatus(StrEnum):
    """What to show a buyer as the status of an order."""

    PROCESSING = "processing"
    AWAITING_PAYMENT = "awaitingPayment"
    PAYMENT_FAILED = "paymentFailed"
    IN_REVIEW = "inReview"
    DECLINED = "declined"
    ACCEPTED = "accepted"
    PARTIALLY_SHIPPED = "partiallyShipped"
    SHIPPED = "shipped"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partiallyRefunded"
    REFUNDED = "refunded"
    RETURNED = "returned"
    DISPUTED = "disputed"

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Adds the rules to the description of the values."""
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema)["description"] = rules_table()
        return schema


@dataclass(frozen=True)
class Rule:
    """`when` describes the condition that `holds` tests."""

    status: DisplayStatus
    meaning: str
    when: str
    holds: Callable[[Order], bool]


def display_status(order: Order) -> DisplayStatus:
    """The status of the first rule that holds. The last rule always holds."""
    return next(rule.status for rule in RULES if rule.holds(order))


def rules_table() -> str:
    """The rules as a table for the OpenAPI document."""
    head = (
        "What to show a buyer. The first row whose condition holds applies. States are Digital River's. A "
        "resolved dispute can lead an order back to `accepted` although it was `fulfilled` or `complete` "
        "before. `state` then means the furthest state of its `stateTransitions`. An `accepted` order also "
        "counts as `fulfilled` if every line is fulfilled or cancelled.\n\n"
    )
    rows = (f"| `{rule.status}` | {rule.meaning} | {rule.when} |" for rule in RULES)
    return head + "\n".join(("| value | meaning | when |", "| --- | --- | --- |", *rows))


def _furthest_state(order: Order) -> str | None:
    """The furthest state that the order has reached.

    A resolved dispute leads back to the state before the dispute, says Digital River's documentation
    (Disputes). Its sample `order.dispute.resolved` says `accepted` although the lines are fulfilled and the
    order has been complete.
    """
    if order.state not in _AFTER_DISPUTE:
        return order.state
    further = next(
        (state for state in _STATES_FURTHEST_FIRST if state in order.state_transitions), order.state
    )
    return "fulfilled" if further == "accepted" and _is_fully_shipped(order) else further


def _has_shipped(item: OrderItem) -> bool:
    # Digital River's sample order.dispute has a line in the state `created` with the time of its fulfillment.
    return item.state in _SHIPPED_ITEM_STATES or "fulfilled" in item.state_transitions


def _is_fully_shipped(order: Order) -> bool:
    is_settled = all(item.state in _SETTLED_ITEM_STATES or _has_shipped(item) for item in order.items)
    return is_settled and any(_has_shipped(item) for item in order.items)


def _is_before_acceptance(order: Order) -> bool:
    return order.state not in _AFTER_REVIEW


def _has_payment_failed(order: Order) -> bool:
    charges = [charge.state == "failed" for charge in order.payment.charges]
    if order.state == "pending_payment":
        session = order.payment.session
        return any(charges) or (session is not None and session.state in {"failed", "cancelled"})
    # A charge that cannot be read may have succeeded.
    is_certain = bool(charges) and not order.payment.unreadable("charges")
    return _furthest_state(order) in _STATES_NEEDING_PAYMENT and is_certain and all(charges)


def _waits_for_buyer(order: Order) -> bool:
    session = order.payment.session
    return order.state == "pending_payment" and session is not None and session.state in _OPEN_SESSION_STATES


def _is_partly_shipped(order: Order) -> bool:
    has_shipped = any(_has_shipped(item) for item in order.items)
    is_charged = any(charge.captures for charge in order.payment.charges) or _is_positive(
        order.captured_amount
    )
    return _furthest_state(order) == "accepted" and (has_shipped or is_charged)


def _has_refund(order: Order) -> bool:
    return _furthest_state(order) in _SHIPPED_STATES and _is_positive(order.refunded_amount)


def _has_full_refund(order: Order) -> bool:
    return _has_refund(order) and (order.refunded_amount or Decimal(0)) >= _paid_amount(order)


def _paid_amount(order: Order) -> Decimal:
    if order.captured_amount is not None and _is_positive(order.captured_amount):
        return order.captured_amount
    return (order.total_amount or Decimal(0)) - (order.cancelled_amount or Decimal(0))


def _is_positive(amount: Decimal | None) -> bool:
    return amount is not None and amount > 0


RULES = (
    Rule(
        DisplayStatus.DISPUTED,
        "The buyer's bank disputes the payment",
        "`state` is `dispute`",
        lambda order: order.state == "dispute",
    ),
    Rule(
        DisplayStatus.DECLINED,
        "The order was not accepted",
        "`state` is `blocked`; or `fraudState` is `blocked` before acceptance",
        lambda order: (
            order.state == "blocked" or (_is_before_acceptance(order) and order.fraud_state == "blocked")
        ),
    ),
    Rule(
        DisplayStatus.PAYMENT_FAILED,
        "The payment did not succeed; the order will not be delivered",
        "`state` is `pending_payment` and a charge failed, or the payment session failed or was cancelled; "
        "or `state` is `in_review`, `accepted` or `cancelled` and every charge failed",
        _has_payment_failed,
    ),
    Rule(
        DisplayStatus.CANCELLED,
        "The order was cancelled",
        "`state` is `cancelled`",
        lambda order: order.state == "cancelled",
    ),
    Rule(
        DisplayStatus.IN_REVIEW,
        "The order is being checked",
        "`state` is `in_review`; or `fraudState` is `review_opened` before acceptance",
        lambda order: (
            order.state == "in_review"
            or (_is_before_acceptance(order) and order.fraud_state == "review_opened")
        ),
    ),
    Rule(
        DisplayStatus.AWAITING_PAYMENT,
        "The buyer still has to pay",
        "`state` is `pending_payment` and the payment session waits for the buyer: `requires_source`, "
        "`requires_confirmation`, `requires_action`, `pending_redirect` or `pending_funds`",
        _waits_for_buyer,
    ),
    Rule(
        DisplayStatus.PARTIALLY_SHIPPED,
        "A part of the order is shipped",
        "`state` is `accepted`, and a line is fulfilled or some money was captured",
        _is_partly_shipped,
    ),
    Rule(
        DisplayStatus.ACCEPTED,
        "The order is accepted and will be delivered",
        "`state` is `accepted`",
        lambda order: _furthest_state(order) == "accepted",
    ),
    Rule(
        DisplayStatus.REFUNDED,
        "The whole payment is refunded",
        "`state` is `fulfilled`, `complete` or `returned`, and the refunded amount is at least the captured "
        "one (if none is known: at least the total less the cancelled amount)",
        _has_full_refund,
    ),
    Rule(
        DisplayStatus.PARTIALLY_REFUNDED,
        "A part of the payment is refunded",
        "`state` is `fulfilled`, `complete` or `returned`, and the refunded amount is more than zero",
        _has_refund,
    ),
    Rule(
        DisplayStatus.RETURNED,
        "The order is returned and not refunded yet",
        "`state` is `returned`",
        lambda order: _furthest_state(order) == "returned",
    ),
    Rule(
        DisplayStatus.COMPLETE,
        "The order is delivered and paid",
        "`state` is `complete`",
        lambda order: _furthest_state(order) == "complete",
    ),
    Rule(
        DisplayStatus.SHIPPED,
        "The whole order is shipped",
        "`state` is `fulfilled`",
        lambda order: _furthest_state(order) == "fulfilled",
    ),
    Rule(
        DisplayStatus.PROCESSING,
        "The order is being processed",
        "in all other cases, also for states that this API does not know",
        lambda _: True,
    ),
)
