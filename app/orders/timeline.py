"""One story of an order, told from two state machines: the order's own and that of the fraud review."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from app.digital_river.models import Order

Kind = Literal["order", "review"]

# In the order in which they can happen, because several often carry the same second.
_TEXTS: Mapping[tuple[Kind, str], str] = {
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
_RANKS = {step: rank for rank, step in enumerate(_TEXTS)}


class Step(NamedTuple):
    """`state` as Digital River names it; `text` for buyers, in English."""

    at: datetime
    kind: Kind
    state: str
    text: str


def timeline(order: Order) -> list[Step]:
    """What happened to the order, oldest first."""
    return sorted(_steps(order), key=lambda step: (step.at, _RANKS.get((step.kind, step.state), len(_RANKS))))


def _steps(order: Order) -> Iterator[Step]:
    if order.created_time is not None and "created" not in order.state_transitions:
        yield _step("order", "created", order.created_time)
    for state, at in order.state_transitions.items():
        yield _step("order", state, at)
    for state, at in order.fraud_state_transitions.items():
        yield _step("review", state, at)


def _step(kind: Kind, state: str, at: datetime) -> Step:
    # Digital River adds states at any time (docs, Versioning): the name is then better than nothing.
    text = _TEXTS.get((kind, state)) or state.replace("_", " ").strip().capitalize()
    return Step(at, kind, state, text)
