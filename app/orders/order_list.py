"""Lists one customer's orders page by page, with signed cursors.

Digital River's cursor is an order id. Without a signature, a caller could put any order's id into a cursor
and learn from the answer whether that order exists.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, SecretStr, StringConstraints

from app.digital_river.api import orders
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import Refused
from app.digital_river.models import Order
from app.ids import CustomerId, OrderId
from app.web.paging import decode_cursor, encode_cursor
from app.web.problems import Invalid

OrderState = Literal[
    "pending_payment",
    "in_review",
    "accepted",
    "fulfilled",
    "complete",
    "returned",
    "cancelled",
    "blocked",
    "dispute",
]

_SIGNATURE_LENGTH = 32


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which of a customer's orders to list. Both bounds are inclusive."""

    state: OrderState | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of the list, newest first. `next_cursor` is None on the last page."""

    orders: Sequence[Order]
    next_cursor: str | None
    unreadable: int


class _Position(BaseModel):
    """The content of a cursor. Frontends hold cursors across a release, so its fields keep their names."""

    after: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    seal: Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{_SIGNATURE_LENGTH}}}$")]


async def list_orders(
    client: DigitalRiverClient,
    secret: SecretStr,
    customer_id: CustomerId,
    order_filter: OrderFilter,
    *,
    limit: int,
    cursor: str | None,
) -> OrderPage:
    """The customer's orders that match the filter, at most `limit`. `secret` signs the cursors.

    Raises:
        Invalid: the cursor does not belong to this customer, or `created_from` is after `created_to`.
        DigitalRiverError: Digital River did not answer with a list.
    """
    created_from, created_to = order_filter.created_from, order_filter.created_to
    if created_from and created_to and created_from > created_to:
        raise Invalid.at("/query/createdTo", "This must not be before createdFrom.")
    try:
        listing = await orders.fetch_orders(
            client,
            customer_id=customer_id,
            state=order_filter.state,
            created_from=created_from,
            created_to=created_to,
            limit=limit,
            starting_after=None if cursor is None else verify_cursor(secret, customer_id, cursor),
        )
    except Refused:
        if cursor is None:
            raise
        # The order in the cursor no longer exists: Digital River accepts every other parameter.
        raise _invalid_cursor() from None
    last_id = listing.next_after
    return OrderPage(
        orders=listing.data,
        next_cursor=None if last_id is None else sign_cursor(secret, customer_id, last_id),
        unreadable=listing.unreadable("data"),
    )


def sign_cursor(secret: SecretStr, customer_id: CustomerId, last_id: str) -> str:
    """The cursor for the orders that follow the order `last_id` in this customer's list."""
    return encode_cursor(_Position(after=last_id, seal=_signature(secret, customer_id, last_id)))


def verify_cursor(secret: SecretStr, customer_id: CustomerId, cursor: str) -> OrderId:
    """The id of the order after which the page begins.

    Raises:
        Invalid: at `/query/cursor`, for any cursor that this customer did not get from `sign_cursor`.
    """
    position = decode_cursor(cursor, _Position)
    if not hmac.compare_digest(position.seal, _signature(secret, customer_id, position.after)):
        raise _invalid_cursor()
    return OrderId(position.after)


def _invalid_cursor() -> Invalid:
    return Invalid.at("/query/cursor", "This cursor is not one that was given out here.")


def _signature(secret: SecretStr, customer_id: CustomerId, last_id: str) -> str:
    # All processes share this secret. No other text that is signed with it begins like this one.
    text = json.dumps(["orders cursor", customer_id, last_id]).encode()
    return hmac.new(secret.get_secret_value().encode(), text, sha256).hexdigest()[:_SIGNATURE_LENGTH]
