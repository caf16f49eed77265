"""Every order that the models accept becomes a valid page."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from app.digital_river.models import Fulfillment, Order, Refund, Tracking
from app.documents import schemas as documents
from app.orders import refunds, schemas, tracking, views
from app.orders.amounts import normalize_amount
from app.orders.schemas import OrderView
from app.orders.tracking import web_link
from app.orders.views import OrderParts
from app.web.api_model import ApiModel
from app.web.paging import Page, PartialPage
from tests.data.digital_river import Json
from tests.orders.payloads import payloads
from tests.web.test_api_model import check_examples


def read_or_reject(model: type[Any], payload: object) -> Any:
    try:
        return model.model_validate(payload)
    except ValidationError:
        return assume(False)


def is_sound(view: BaseModel) -> None:
    """Its JSON matches its own schema, including the patterns of amounts."""
    assert type(view).model_validate_json(view.model_dump_json()) == view


def page(order: Order, *, of_refunds: Iterable[Refund] = ()) -> OrderView:
    parts = OrderParts(order, list(of_refunds), [], None)
    return views.order_view(parts, for_buyer=True)


@pytest.mark.proof
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(payload=payloads(Order))
def test_every_readable_order_becomes_a_page(payload: Json) -> None:
    order = read_or_reject(Order, payload)
    is_sound(page(order))
    is_sound(views.order_summary(order))


@pytest.mark.proof
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=payloads(Order).map(lambda body: {"id": "1", "items": body.get("items", [])}),
    found=st.lists(payloads(Refund), max_size=2),
    sent=st.lists(payloads(Fulfillment), max_size=2),
)
def test_every_readable_refund_and_parcel_is_shown(order: Json, found: list[Json], sent: list[Json]) -> None:
    read = read_or_reject(Order, order)
    paid_back = [read_or_reject(Refund, one) for one in found]
    fulfillments = [read_or_reject(Fulfillment, one) for one in sent]
    is_sound(views.order_view(OrderParts(read, paid_back, fulfillments, None), for_buyer=True))
    is_sound(tracking.from_shop(read, fulfillments))


@given(payload=payloads(Tracking))
def test_every_readable_tracking_is_shown(payload: Json) -> None:
    read = read_or_reject(Tracking, {**payload, "orderId": "1"})
    is_sound(tracking.from_logistics(Order(id="1"), read))


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("26.9", "USD", "26.90"),
        ("33.0", "JPY", "33"),
        ("33.5", "JPY", "33.5"),
        ("1.5", "KWD", "1.500"),
        ("5", None, "5.00"),
        ("0.125", "EUR", "0.125"),
        ("-0.0", "EUR", "0.00"),
        ("1E+3", "EUR", "1000.00"),
        ("1E-999", "EUR", "0.00"),
        ("99999999999999.99", "EUR", "99999999999999.99"),
        ("1E+14", "EUR", None),
        ("1E+999999", "EUR", None),
        ("NaN", "EUR", None),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(
    amount: str, currency: str | None, shown: str | None
) -> None:
    result = normalize_amount(Decimal(amount), currency)
    assert (None if result is None else format(result, "f")) == shown


def test_two_state_machines_become_one_status() -> None:
    order = Order.model_validate(
        {
            "id": "1",
            "createdTime": "2026-01-31T09:00:00Z",
            "stateTransitions": {
                "accepted": "2026-01-31T09:10:00Z",
                "in_review": "2026-01-31T09:00:00Z",
                "of_tomorrow": "2026-01-31T09:20:00Z",
            },
            "fraudStateTransitions": {
                "passed": "2026-01-31T09:10:00Z",
                "review_opened": "2026-01-31T09:00:00Z",
            },
        }
    )
    assert [step.text for step in views.timeline(order)] == [
        "Order placed",
        "Review started",
        "Order in review",
        "Review passed",
        "Order accepted",
        "Of tomorrow",
    ]


def test_one_fulfillment_with_two_numbers_is_two_parcels_and_a_cancellation_is_none() -> None:
    order = Order.model_validate(
        {"id": "o", "items": [{"id": "1", "productDetails": {"name": "Lamp"}}, {"id": "2"}, {"id": "3"}]}
    )
    fulfillment = Fulfillment.model_validate(
        {
            "id": "ful_1",
            "trackingCompany": "FedEx",
            "trackingNumber": "A",
            "trackingUrl": "javascript:alert(1)",
            "items": [
                {"itemId": "1", "quantity": 1},
                {"itemId": "2", "quantity": 2, "trackingNumber": "B", "trackingUrl": "https://b.test"},
                {"itemId": "3", "quantity": 0, "cancelQuantity": 1},
            ],
        }
    )
    first, second = tracking.from_shop(order, [fulfillment]).shipments
    assert (first.tracking_number, first.tracking_url, first.items[0].name) == ("A", None, "Lamp")
    assert (second.tracking_number, second.tracking_url) == ("B", "https://b.test")
    assert [piece.item_id for piece in (*first.items, *second.items)] == ["1", "2"]


@pytest.mark.parametrize(
    ("source", "label"),
    [
        (
            {"type": "creditCard", "creditCard": {"brand": "Visa", "lastFourDigits": "1111"}},
            "Visa ending in 1111",
        ),
        ({"type": "creditCard", "creditCard": {"lastFourDigits": "4444222233331111"}}, "Card ending in 1111"),
        ({"type": "googlePay", "googlePay": {"brand": "Visa"}}, "Google Pay (Visa)"),
        ({"type": "payPalBilling", "payPalBilling": {"token": "EC-canary"}}, "PayPal"),
        ({"type": "moonPayLater"}, "Moon Pay Later"),
        ({}, "Payment method"),
    ],
)
def test_a_payment_method_is_named_as_its_owner_knows_it(source: Json, label: str) -> None:
    order = Order.model_validate({"id": "1", "payment": {"sources": [{"id": "s", **source}]}})
    shown = page(order)
    assert [method.label for method in shown.payment_methods] == [label]
    for secret in ("444422", "canary"):
        assert secret not in shown.model_dump_json()


@pytest.mark.parametrize(
    "address",
    [None, "", "javascript:alert(1)", "data:text/html,x", "/orders", "//evil.test", "https://", "https://["],
)
def test_only_addresses_of_the_web_become_links(address: str | None) -> None:
    assert web_link(address) is None


def test_a_web_address_stays_as_it_is() -> None:
    assert web_link("https://shop.test/lamp?a=1#b") == "https://shop.test/lamp?a=1#b"


def contracts() -> set[type[ApiModel]]:
    """Every published model of this package."""
    rooms = (documents, refunds, schemas, tracking)
    kinds = (kind for room in rooms for kind in vars(room).values() if isinstance(kind, type))
    ours = {kind for kind in kinds if issubclass(kind, ApiModel)} - {ApiModel, Page, PartialPage}
    # pydantic puts what it makes of `Page[...]` beside the class that is derived from it.
    return {kind for kind in ours if kind.__name__.isidentifier()}


@pytest.mark.parametrize("model", sorted(contracts(), key=str))
def test_every_example_is_one(model: type[ApiModel]) -> None:
    check_examples(model)
