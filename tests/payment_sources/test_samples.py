"""Sources of every structure that Digital River prints are shown without loss and without a secret."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.digital_river.models import Source
from app.digital_river.models.payment_methods import label
from app.payment_sources import drop_in, schemas
from app.payment_sources.schemas import payment_source_view
from app.web.api_model import ApiModel
from tests.data.digital_river import Json, payloads
from tests.web.test_api_model import check_examples

FOLDERS = ("sources", "drjs", "dropin", "customers", "orders", "events", "checkouts")
NOW = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


def sources_in(printed: Any) -> Iterator[Json]:
    """Everything that is a source by its looks: an id, a type, and a hash named after the type."""
    if isinstance(printed, dict):
        kind = printed.get("type")
        if "id" in printed and isinstance(kind, str) and isinstance(printed.get(kind), dict):
            yield printed
        for value in printed.values():
            yield from sources_in(value)
    elif isinstance(printed, list):
        for value in printed:
            yield from sources_in(value)


def printed_sources() -> list[Json]:
    printed = (one for folder in FOLDERS for one in payloads(folder).values())
    return [source for one in printed for source in sources_in(one)]


def shown(source: Json) -> Json:
    read = Source.model_validate(source)
    return payment_source_view(read, is_default=False, now=NOW).model_dump(mode="json")


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str) and value:
        yield value


def expected(source: Json) -> Json:
    """An own reading of what may be shown; only `label` is taken from the product."""
    details, owner = source[source["type"]], source.get("owner")
    address = owner and owner.get("address")
    names = ("line1", "line2", "city", "postalCode", "state", "country")
    brand, last_four = details.get("brand"), details.get("lastFourDigits")
    expiry = (details.get("expirationYear"), details.get("expirationMonth"))
    return {
        "id": source["id"],
        "type": source["type"],
        "label": label(source["type"], brand=brand, last_four=last_four),
        "brand": brand,
        "lastFour": last_four,
        "expiryMonth": expiry[1],
        "expiryYear": expiry[0],
        "ownerName": f"{owner['firstName']} {owner['lastName']}" if owner else None,
        "billingAddress": {name: address.get(name) or None for name in names} if address else None,
        "state": source.get("state", source.get("status")),
        "isDefault": False,
        "isExpired": expiry[0] is not None and expiry < (2026, 1),
        "isReusable": source.get("reusable", False),
    }


def test_every_printed_source_is_shown_without_loss() -> None:
    found = printed_sources()
    assert len({source["type"] for source in found}) >= 15
    for source in found:
        assert shown(source) == expected(source)


def test_no_printed_source_leaks_anything_else() -> None:
    secrets = 0
    for source in printed_sources():
        shown_texts = {str(text) for text in leaves(shown(source))}
        hidden = {text for text in leaves(source) if not any(text in one for one in leaves(expected(source)))}
        secrets += len(hidden)
        assert not [text for text in hidden for one in shown_texts if text in one]
    assert secrets > 100


@pytest.mark.parametrize("kind", ["creditCard", "googlePay"])
@pytest.mark.parametrize(
    ("year", "month", "is_over"),
    [(2025, 1, True), (2025, 12, True), (2026, 1, False), (2026, 2, False), (2025, None, True)],
)
def test_a_card_expires_with_the_end_of_its_month(
    kind: str, year: int, month: int | None, is_over: bool
) -> None:
    source = {"id": "1", "type": kind, kind: {"expirationYear": year, "expirationMonth": month}}
    assert shown(source)["isExpired"] is is_over


@pytest.mark.parametrize(
    ("source", "shown_texts"),
    [
        ({"id": "1"}, ("Payment method", None, None)),
        ({"id": "1", "type": "x-y_zPay", "x-y_zPay": "?"}, ("X Y Z Pay", None, None)),
        ({"id": "1", "type": "creditCard", "creditCard": None}, ("Card", None, None)),
        (
            {"id": "1", "type": "creditCard", "creditCard": {"lastFourDigits": 4444222233331111}},
            ("Card ending in 1111", "1111", None),
        ),
        (
            {"id": "1", "type": "giftCard", "giftCard": {"lastFourDigits": 42}, "owner": {"lastName": "B"}},
            ("Gift card ending in 42", "42", "B"),
        ),
        ({"id": "1", "type": "msts", "owner": {"organization": "Lamps"}}, ("TreviPay", None, "Lamps")),
        ({"id": "1", "type": "googlePay", "googlePay": {"brand": "Visa"}}, ("Google Pay (Visa)", None, None)),
    ],
)
def test_a_source_with_gaps_is_shown_with_gaps(
    source: Json, shown_texts: tuple[str, str | None, str | None]
) -> None:
    one = shown(source)
    assert (one["label"], one["lastFour"], one["ownerName"]) == shown_texts
    assert one["isExpired"] is False


CONTRACTS = [
    model
    for module in (schemas, drop_in)
    for model in vars(module).values()
    if isinstance(model, type)
    and issubclass(model, ApiModel)
    and model.__module__ == module.__name__
    # Pydantic leaves the generic page in the module, too; its subclass shows the example.
    and "[" not in model.__name__
]


@pytest.mark.parametrize("model", CONTRACTS, ids=lambda model: model.__name__)
def test_every_example_is_accepted_and_comes_back_unchanged(model: type[ApiModel]) -> None:
    check_examples(model)
