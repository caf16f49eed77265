"""Tolerant fields: which numbers are whole, what an identifier is, and what a bad value costs."""

from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from app.digital_river.models import (
    Charge,
    ChargeOperation,
    File,
    FulfillmentItem,
    LineTax,
    Listing,
    Order,
    OrderItem,
    PaymentSession,
    Refund,
    RefundItem,
    ShippingChoice,
    Source,
    SourceDetails,
)
from app.digital_river.models.delivery import ShipmentItem
from app.digital_river.models.orders import Discount
from app.digital_river.models.tolerant_model import DigitalRiverModel, Identifier, read
from app.orders.status import display_status
from tests.data.digital_river import schema as official_schema

# How the official document types every number that we read, by its schemas' names; whole ones are `integer`.
OFFICIAL: dict[tuple[type[BaseModel], str], dict[str, str]] = {
    (Charge, "Charge"): {"amount": "number"},
    (ChargeOperation, "Capture"): {"amount": "number"},
    (ChargeOperation, "Cancel"): {"amount": "number"},
    (ChargeOperation, "Refund"): {"amount": "number"},
    (Discount, "SkuDiscount"): {"amountOff": "number", "percentOff": "number", "quantity": "number"},
    (File, "FileObject"): {"size": "number"},
    (FulfillmentItem, "FulfillmentResponseItem"): {"quantity": "integer", "cancelQuantity": "integer"},
    (LineTax, "Tax"): {"rate": "number", "amount": "number"},
    (LineTax, "ImporterTax"): {"amount": "number"},
    (LineTax, "Duties"): {"amount": "number"},
    (LineTax, "Fees"): {"amount": "number", "taxAmount": "number"},
    (LineTax, "ItemShipping"): {"amount": "number", "taxAmount": "number"},
    (Order, "Order"): dict.fromkeys(
        (
            *("subtotal", "totalTax", "totalImporterTax", "totalDuty", "totalFees", "totalDiscount"),
            *("totalShipping", "totalAmount", "capturedAmount", "cancelledAmount", "refundedAmount"),
            "availableToRefundAmount",
        ),
        "number",
    ),
    (OrderItem, "OrderItem"): {
        "quantity": "integer",
        "amount": "number",
        "availableToRefundAmount": "number",
    },
    (PaymentSession, "Session"): {
        "amountContributed": "number",
        "amountRemainingToBeContributed": "number",
    },
    (Refund, "OrderRefund"): {"amount": "number", "refundedAmount": "number"},
    (RefundItem, "RefundItem"): {"quantity": "integer", "amount": "number", "refundedAmount": "number"},
    (ShipmentItem, "TrackingItem"): {"quantity": "integer"},
    (ShippingChoice, "ShippingChoice"): {"amount": "number", "taxAmount": "number"},
    (Source, "Source"): {"amount": "number"},
    (SourceDetails, "CreditCard"): {"expirationMonth": "number", "expirationYear": "number"},
    (SourceDetails, "GooglePay"): {"expirationMonth": "number", "expirationYear": "number"},
}
KINDS = {"integer": int, "number": Decimal}


def kind_of(annotation: Any) -> Any:
    """What a value of this type is in the end, if it is there."""
    if get_origin(annotation) is Annotated:
        return kind_of(get_args(annotation)[0])
    kinds = [kind_of(one) for one in get_args(annotation) if one is not NoneType]
    return kinds[0] if len(kinds) == 1 else annotation


def every_model(model: type[DigitalRiverModel]) -> set[type[DigitalRiverModel]]:
    """All models of Digital River's payloads, in every module."""
    return {model}.union(*(every_model(one) for one in model.__subclasses__()))


@pytest.mark.parametrize(("model", "schema"), OFFICIAL)
def test_what_is_a_number_to_digital_river_is_not_read_as_a_whole_one(
    model: type[BaseModel], schema: str
) -> None:
    fields = {field.alias: kind_of(field.annotation) for field in model.model_fields.values()}
    facts = OFFICIAL[model, schema]
    assert {name: fields[name] for name in facts} == {name: KINDS[kind] for name, kind in facts.items()}


@pytest.mark.parametrize(("model", "schema"), OFFICIAL)
def test_these_are_the_official_types_of_all_numbers_that_are_read(
    model: type[BaseModel], schema: str
) -> None:
    documented = {name: one.get("type") for name, one in official_schema(schema)["properties"].items()}
    read_here = {field.alias for field in model.model_fields.values()}
    numbers = {name: kind for name, kind in documented.items() if name in read_here and kind in KINDS}
    assert numbers == OFFICIAL[model, schema]


def test_no_number_that_is_read_is_left_out_of_the_table() -> None:
    documented = {(model, name) for (model, _), facts in OFFICIAL.items() for name in facts}
    ours = {
        (model, field.alias)
        for model in every_model(DigitalRiverModel)
        for field in model.model_fields.values()
        if kind_of(field.annotation) in KINDS.values()
    }
    assert ours == documented


@pytest.mark.parametrize("size", ["12", 12, 12.0, "12.0"])
def test_twelve_is_twelve_however_it_is_written(size: object) -> None:
    assert File.model_validate({"id": "1", "size": size}).size == 12
    assert OrderItem.model_validate({"id": "1", "quantity": size}).quantity == 12


class Named(BaseModel):
    name: Identifier


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a/b", "a\n", "\ufffd", "a\x00", "a\x1b", "\u202ea", "a\u200b", "a\xa0", "x" * 201],
)
def test_a_value_that_could_match_another_id_is_no_identifier(name: str) -> None:
    with pytest.raises(ValidationError):
        Named(name=name)


@pytest.mark.parametrize(
    "name", ["204440790336", "re_d1988e09-eec8", "auth0|5f7c", "a@b.test", "ä", "x" * 200]
)
def test_a_valid_identifier_is_read(name: str) -> None:
    assert Named(name=name).name == name


def test_each_bad_value_is_reported_with_its_place_and_costs_only_its_entry() -> None:
    items = [{"id": "i1", "quantity": {}}, {"id": "i2", "amount": []}, None, 7, {"id": "i3"}]
    orders = [
        {"id": "o1", "items": items, "shipTo": {"phone": []}},
        {"id": "o2", "totalTax": "x"},
        None,
        "o3",
    ]
    page, misfits = read(Listing[Order], {"data": orders, "hasMore": True})
    (order,) = page.data
    assert [item.id for item in order.items] == ["i1", "i3"]
    assert (order.unreadable("items"), page.unreadable("data"), page.next_after) == (2, 2, "o2")
    assert {(one.field, one.entry) for one in misfits} == {
        ("Party.phone", "o1"),
        ("OrderItem.quantity", "o1"),
        ("Order.items.1.amount", "o1"),
        ("Order.items.2", "o1"),
        ("Listing.data.1.totalTax", "o2"),
        ("Listing.data.2", None),
    }


@pytest.mark.parametrize("page", [{}, {"data": 7}, {"data": {}}, {"data": [], "hasMore": "perhaps"}])
def test_a_list_that_is_none_or_has_no_known_end_is_not_read(page: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(Listing[Order], page)


def test_an_answer_cannot_set_the_list_of_omitted_parts() -> None:
    order, _ = read(Order, {"id": "1", "_lost": {"items": 3}, "unreadable": 4, "lost": 1})
    assert order.unreadable("items") == 0


def test_a_charge_that_may_have_failed_makes_no_failed_order() -> None:
    charges = [{"id": "c1", "state": "failed"}, {"id": "c2", "amount": "much", "state": "capturable"}]
    order, _ = read(Order, {"id": "1", "state": "accepted", "payment": {"charges": charges}})
    assert display_status(order) == "accepted"
    assert order.payment.unreadable("charges") == 1
