"""Every combination of states has one status, and the published table says the same."""

from decimal import Decimal
from typing import Any

import pytest

from app.digital_river.models import Order
from app.orders.status import RULES, DisplayStatus, display_status, rules_table
from tests.orders.samples import printed_orders
from tests.support.portal import Portal
from tests.support.proofs import proofs_except

# Payments: no charge known · waiting to be captured · one of two failed · all failed · captured.
PAYMENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "capturable": {"payment": {"charges": [{"id": "c", "state": "capturable"}]}},
    "one failed": {
        "payment": {"charges": [{"id": "c", "state": "failed"}, {"id": "d", "state": "capturable"}]}
    },
    "all failed": {"payment": {"charges": [{"id": "c", "state": "failed"}]}},
    "captured": {
        "payment": {
            "charges": [{"id": "c", "state": "complete", "captures": [{"id": "k", "state": "complete"}]}]
        },
        "capturedAmount": 10,
    },
}
EXPECTED: dict[str | None, dict[str, str]] = {
    None: dict.fromkeys(PAYMENTS, "processing"),
    "of tomorrow": dict.fromkeys(PAYMENTS, "processing"),
    "pending_payment": {
        **dict.fromkeys(PAYMENTS, "processing"),
        **dict.fromkeys(("one failed", "all failed"), "paymentFailed"),
    },
    "in_review": {**dict.fromkeys(PAYMENTS, "inReview"), "all failed": "paymentFailed"},
    "accepted": {
        **dict.fromkeys(PAYMENTS, "accepted"),
        "all failed": "paymentFailed",
        "captured": "partiallyShipped",
    },
    "cancelled": {**dict.fromkeys(PAYMENTS, "cancelled"), "all failed": "paymentFailed"},
    "fulfilled": dict.fromkeys(PAYMENTS, "shipped"),
    "complete": dict.fromkeys(PAYMENTS, "complete"),
    "returned": dict.fromkeys(PAYMENTS, "returned"),
    "dispute": dict.fromkeys(PAYMENTS, "disputed"),
    "blocked": dict.fromkeys(PAYMENTS, "declined"),
}
EARLY = (None, "of tomorrow", "pending_payment", "in_review")
FRAUD = (None, "passed", "review_opened", "blocked", "of tomorrow")


def expected(state: str | None, fraud: str | None, payment: str) -> str:
    plain = EXPECTED[state][payment]
    if state in EARLY and fraud == "blocked":
        return "declined"
    if state in EARLY and fraud == "review_opened" and plain == "processing":
        return "inReview"
    return plain


@pytest.mark.parametrize("payment", PAYMENTS)
@pytest.mark.parametrize("fraud", proofs_except([None, "blocked"], FRAUD))
@pytest.mark.parametrize("state", EXPECTED)
def test_every_combination_has_its_status(state: str | None, fraud: str | None, payment: str) -> None:
    order = Order.model_validate({"id": "1", "state": state, "fraudState": fraud, **PAYMENTS[payment]})
    assert display_status(order) == expected(state, fraud, payment)


@pytest.mark.parametrize(
    ("session", "status"),
    [
        *((state, "awaitingPayment") for state in ("requires_source", "requires_confirmation")),
        *((state, "awaitingPayment") for state in ("requires_action", "pending_redirect", "pending_funds")),
        *((state, "processing") for state in ("pending", "complete", "chargeable", "of tomorrow")),
        *((state, "paymentFailed") for state in ("failed", "cancelled")),
    ],
)
def test_a_pending_payment_is_the_buyers_turn_or_not(session: str, status: str) -> None:
    payment = {"session": {"id": "s", "state": session}, "charges": [{"id": "c", "state": "pending"}]}
    order = {"id": "1", "state": "pending_payment", "payment": payment}
    assert display_status(Order.model_validate(order)) == status
    accepted = Order.model_validate({**order, "state": "accepted"})
    assert display_status(accepted) == "accepted"


@pytest.mark.parametrize("state", ["fulfilled", "complete", "returned"])
@pytest.mark.parametrize(
    ("amounts", "status"),
    [
        ({"capturedAmount": 10, "refundedAmount": 10}, "refunded"),
        ({"capturedAmount": 10, "refundedAmount": "9.99"}, "partiallyRefunded"),
        ({"capturedAmount": 6, "totalAmount": 10, "refundedAmount": 6}, "refunded"),
        ({"totalAmount": 10, "cancelledAmount": 4, "refundedAmount": 6}, "refunded"),
        ({"totalAmount": 10, "refundedAmount": 6}, "partiallyRefunded"),
    ],
)
def test_what_was_paid_back_counts_against_what_was_taken(
    state: str, amounts: dict[str, Any], status: str
) -> None:
    assert display_status(Order.model_validate({"id": "1", "state": state, **amounts})) == status


def test_what_is_still_to_come_counts_more_than_what_was_paid_back() -> None:
    body = {"id": "1", "state": "accepted", "capturedAmount": 5, "refundedAmount": 5}
    assert display_status(Order.model_validate(body)) == "partiallyShipped"


@pytest.mark.parametrize("line", ["fulfilled", "paid", "returned"])
def test_an_accepted_order_with_a_line_on_its_way_is_partially_shipped(line: str) -> None:
    items = [{"id": "1", "state": "created"}, {"id": "2", "state": line}]
    assert display_status(Order.model_validate({"id": "1", "state": "accepted", "items": items})) == (
        "partiallyShipped"
    )


ONCE_COMPLETE = {
    "accepted": "2022-02-15T06:36:57Z",
    "fulfilled": "2022-02-15T06:37:14Z",
    "complete": "2022-02-15T23:28:31Z",
    "dispute": "2022-02-17T21:10:22Z",
}
CAPTURED = {"state": "complete", "captures": [{"id": "k", "state": "complete", "amount": 0.32}]}


@pytest.mark.parametrize(
    ("state", "never", "refunded", "status"),
    [
        ("accepted", set(), 0, "complete"),
        ("fulfilled", set(), 0, "complete"),
        ("complete", set(), 0, "complete"),
        ("accepted", {"complete"}, 0, "shipped"),
        ("accepted", set(), 0.1, "partiallyRefunded"),
        ("accepted", set(), 0.32, "refunded"),
    ],
)
def test_a_resolved_dispute_does_not_take_back_what_a_buyer_has_got(
    state: str, never: set[str], refunded: float, status: str
) -> None:
    order = {
        "id": "1005692492420",
        "state": state,
        "stateTransitions": {name: at for name, at in ONCE_COMPLETE.items() if name not in never},
        "fraudState": "review_opened",
        "items": [{"id": "1", "state": "fulfilled", "quantity": 1}],
        "payment": {"charges": [{"id": "c", **CAPTURED}]},
        "capturedAmount": 0.32,
        "refundedAmount": refunded,
    }
    assert display_status(Order.model_validate(order)) == status


def test_a_lost_payment_does_not_undo_a_delivery() -> None:
    order = {
        "id": "1",
        "state": "accepted",
        "stateTransitions": ONCE_COMPLETE,
        "payment": {"charges": [{"id": "c", "state": "failed"}]},
    }
    assert display_status(Order.model_validate(order)) == "complete"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((("fulfilled", ()),), "shipped"),
        ((("fulfilled", ()), ("cancelled", ())), "shipped"),
        ((("created", ("created", "fulfilled")),), "shipped"),
        ((("created", ("created", "fulfilled")), ("created", ("created",))), "partiallyShipped"),
        ((("cancelled", ()), ("created", ())), "accepted"),
        ((("cancelled", ()),), "accepted"),
        ((), "accepted"),
    ],
)
def test_an_accepted_order_is_shipped_once_no_line_is_open(
    lines: tuple[tuple[str, tuple[str, ...]], ...], status: str
) -> None:
    items = [
        {"id": str(place), "state": state, "stateTransitions": dict.fromkeys(times, "2022-02-15T06:37:14Z")}
        for place, (state, times) in enumerate(lines)
    ]
    assert display_status(Order.model_validate({"id": "1", "state": "accepted", "items": items})) == status


@pytest.mark.parametrize("line", ["created", "fulfilled"])
def test_the_printed_dispute_is_complete_once_it_is_resolved_into_accepted(line: str) -> None:
    order = printed_orders()["events/order_dispute"]
    items = [{**item, "state": line} for item in order["items"]]
    resolved = Order.model_validate({**order, "state": "accepted", "items": items})
    assert display_status(resolved) == "complete"


def test_the_printed_orders_have_the_words_that_a_buyer_expects() -> None:
    words = {
        name: display_status(Order.model_validate(order)).value for name, order in printed_orders().items()
    }
    assert words["events/order_complete"] == "complete"
    assert words["events/order_dispute"] == "disputed"
    assert words["events/order_accepted"] == "accepted"
    assert words["events/fulfillment_created"] == "accepted"
    assert words["orders/accepted_in_dollars_of_hong_kong"] == "accepted"
    assert words["fulfillments/with_its_order"] == "complete"
    assert words["events/order_pending_payment"] == "awaitingPayment"
    assert "processing" not in words.values()


async def test_the_published_document_holds_the_words_and_how_they_come_about(portal: Portal) -> None:
    document = (await portal.client.get("/openapi.json")).raise_for_status().json()
    published = document["components"]["schemas"]["DisplayStatus"]
    assert published["enum"] == [status.value for status in DisplayStatus]
    assert published["description"] == rules_table()


def test_every_status_has_its_rule_and_the_last_rule_always_holds() -> None:
    assert sorted(rule.status for rule in RULES) == sorted(DisplayStatus)
    assert RULES[-1].holds(Order(id="1", total_amount=Decimal(1)))
    table = rules_table()
    assert all(f"| `{status}` |" in table for status in DisplayStatus)
