"""Orders as a list shows them."""

from typing import Any

from pydantic import ConfigDict

from app.orders.status import DisplayStatus
from app.web.api_model import ApiModel, Instant, Money
from app.web.paging import PartialPage

LINE_EXAMPLE: dict[str, Any] = {
    "name": "Desk lamp",
    "imageUrl": "https://shop.example/lamp.jpg",
    "quantity": 2,
}
ORDER_EXAMPLE: dict[str, Any] = {
    "id": "188418250336",
    "createdAt": "2026-01-31T09:29:50Z",
    "displayStatus": "partiallyRefunded",
    "state": "complete",
    "currency": "USD",
}
_SUMMARY: dict[str, Any] = {
    **ORDER_EXAMPLE,
    "totalAmount": "112.81",
    "refundedAmount": "33.00",
    "itemCount": 1,
    "items": [LINE_EXAMPLE],
}


class LineView(ApiModel):
    """One line of an order, as far as a list shows it."""

    model_config = ConfigDict(json_schema_extra={"examples": [LINE_EXAMPLE]})

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
    """As Digital River names it, for filtering; an open set, so show `displayStatus`."""
    currency: str | None
    total_amount: Money | None
    refunded_amount: Money | None
    item_count: int
    """How many lines the order has."""
    items: list[LineView]
    """The first three of them."""


class OrdersPage(PartialPage[OrderSummary]):
    """A piece of a customer's orders."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_SUMMARY], "nextCursor": None, "unreadable": 0}]}
    )
