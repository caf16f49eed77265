"""Turns Digital River's refunds into what buyers see: the state, and what the buyer must do."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import ConfigDict

from app.digital_river.models import Refund
from app.orders.amounts import normalize_amount, sum_amounts
from app.web.api_model import ApiModel, Instant, Money
from app.web.paging import PartialPage

State = Literal["pending", "pendingInformation", "succeeded", "failed", "expired"]

_STATES: Mapping[str, State] = {
    "pending_information": "pendingInformation",
    "succeeded": "succeeded",
    # Digital River docs, Refunds: the refund of a charge is `complete` when the whole refund has `succeeded`.
    "complete": "succeeded",
    "failed": "failed",
    "expired": "expired",
}

_ACTION: dict[str, Any] = {
    "kind": "provideBankDetails",
    "token": "17bc3273-b588-420f-bd1f-49a89eec6322",
    "expiresAt": "2026-03-05T10:00:00Z",
}
_PORTION: dict[str, Any] = {
    "itemId": "127910100336",
    "quantity": 1,
    "amount": "33.00",
    "refundedAmount": "0.00",
    "type": None,
}
REFUND_EXAMPLE: dict[str, Any] = {
    "id": "re_d1988e09-eec8-48f4-8077-b6c955c84e69",
    "createdAt": "2026-02-03T10:00:00Z",
    "state": "pendingInformation",
    "currency": "USD",
    "amount": "33.00",
    "refundedAmount": "0.00",
    "type": None,
    "reason": "Damaged",
    "items": [_PORTION],
    "unreadable": 0,
    "action": _ACTION,
}


class ActionView(ApiModel):
    """What the buyer must do before the refund can be paid: enter bank details. Show the `offlinerefund`
    element of DigitalRiver.js, with `token` as its `refundToken`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACTION]})

    kind: Literal["provideBankDetails"]
    token: str | None
    """Null for support, because only the buyer may enter bank details."""
    expires_at: Instant | None
    """The refund expires at this time if the buyer has not entered bank details."""


class PortionView(ApiModel):
    """The part of a refund that belongs to one line of the order."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PORTION]})

    item_id: str | None
    quantity: int | None
    amount: Money | None
    refunded_amount: Money | None
    type: str | None
    """`shipping`, `fees` or `duty` if the refund covers only that part. More values may be added."""


class RefundView(ApiModel):
    """A refund. After `succeeded`, the buyer's bank needs five to ten business days to post it."""

    model_config = ConfigDict(json_schema_extra={"examples": [REFUND_EXAMPLE]})

    id: str
    created_at: Instant | None
    state: State
    """`pending`: Digital River processes the refund. `pendingInformation`: the buyer must act, see `action`.
    `succeeded`: the refund is paid. `failed`: nothing was paid. `expired`: the buyer did not enter bank
    details in time. A state that this API does not know is shown as `pending`."""
    currency: str | None
    amount: Money | None
    refunded_amount: Money | None
    type: str | None
    """`shipping`, `tax`, `duty` or `importer_tax` if the refund covers only that part. More values may be
    added."""
    reason: str | None
    items: list[PortionView]
    """Empty if the refund is for the whole order."""
    unreadable: int
    """How many items of the refund are left out because they cannot be read; usually 0."""
    action: ActionView | None
    """Null if the buyer has nothing to do."""


class RefundsPage(PartialPage[RefundView]):
    """All refunds of an order, always on one page."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [REFUND_EXAMPLE], "nextCursor": None, "unreadable": 0}]}
    )


def refund_view(refund: Refund, *, currency: str | None, for_buyer: bool) -> RefundView:
    """The refund of an order in `currency`. `for_buyer`: the buyer reads it, and not support."""
    currency = refund.currency or currency
    state = _STATES.get(refund.state or "", "pending")
    amount = refund.amount if refund.amount is not None else _sum_item_amounts(refund, currency)
    return RefundView(
        id=refund.id,
        created_at=refund.created_time,
        state=state,
        currency=currency,
        amount=normalize_amount(amount, currency),
        refunded_amount=normalize_amount(refund.refunded_amount, currency),
        type=refund.type,
        reason=refund.reason,
        items=[
            PortionView(
                item_id=item.item_id,
                quantity=item.quantity,
                amount=normalize_amount(item.amount, currency),
                refunded_amount=normalize_amount(item.refunded_amount, currency),
                type=item.type,
            )
            for item in refund.items
        ],
        unreadable=refund.unreadable("items"),
        action=_action(refund, for_buyer=for_buyer) if state == "pendingInformation" else None,
    )


def _sum_item_amounts(refund: Refund, currency: str | None) -> Decimal | None:
    # Digital River's sample event refund.pending has two lines, and amounts only in the lines.
    if refund.unreadable("items"):
        return None
    return sum_amounts((item.amount for item in refund.items), currency)


def _action(refund: Refund, *, for_buyer: bool) -> ActionView | None:
    information = refund.token_information
    if information is None or information.token is None:
        return None
    return ActionView(
        kind="provideBankDetails",
        token=information.token if for_buyer else None,
        expires_at=information.expires_time,
    )
