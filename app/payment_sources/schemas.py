"""The published models of saved payment methods, without any data that could be misused."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Strict

from app.digital_river.models import Source, SourceDetails, SourceOwner
from app.digital_river.models.payment_methods import label
from app.ids import SourceId
from app.web.api_model import ApiModel
from app.web.id_types import ID
from app.web.paging import PartialPage
from app.web.postal_address import ADDRESS_EXAMPLE, AddressView

_EXAMPLE: dict[str, Any] = {
    "id": "721adac5-cbfa-4f4f-989b-58414dd231c3",
    "type": "creditCard",
    "label": "Visa ending in 1111",
    "brand": "Visa",
    "lastFour": "1111",
    "expiryMonth": 7,
    "expiryYear": 2030,
    "ownerName": "Ada Lovelace",
    "billingAddress": ADDRESS_EXAMPLE,
    "state": "chargeable",
    "isDefault": True,
    "isExpired": False,
    "isReusable": True,
}


class PaymentSource(ApiModel):
    """A payment method that is saved for later purchases."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    type: str | None
    """Such as `creditCard`, `googlePay` or `payPalBilling`. More values may be added, so show `label`."""
    label: str
    """An English text by which the buyer recognises the method."""
    brand: str | None
    """The brand of a card; null for other methods."""
    last_four: str | None
    """The last four digits of the method's number; null if it has none."""
    expiry_month: int | None
    """1 to 12."""
    expiry_year: int | None
    """With four digits."""
    owner_name: str | None
    billing_address: AddressView | None
    state: str | None
    """A buyer can pay with a `chargeable` method, and not in other states, such as `failed` or `cancelled`.
    More values may be added."""
    is_default: bool
    """Whether it is used if the buyer chooses no other method."""
    is_expired: bool
    """Whether its expiry month is over (UTC). A method without an expiry date is never expired."""
    is_reusable: bool
    """Whether it may be charged more than once."""


class PaymentSourcesPage(PartialPage[PaymentSource]):
    """All saved payment methods of one customer, always on one page."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_EXAMPLE], "nextCursor": None, "unreadable": 0}]}
    )


class SourceToSave(ApiModel):
    """What the page sends after Drop-in has reported success."""

    model_config = ConfigDict(
        validate_by_alias=True,
        validate_by_name=False,
        json_schema_extra={"examples": [{"sourceId": _EXAMPLE["id"], "makeDefault": True}]},
    )

    source_id: Annotated[SourceId, ID]
    """`source.id` from Drop-in's `onSuccess`. The other fields are not needed."""
    make_default: Annotated[bool, Strict()] = False
    """Whether to make it the default. The first saved method becomes the default in any case."""


class DefaultSource(ApiModel):
    """The saved method that is used if the buyer chooses no other."""

    model_config = ConfigDict(
        validate_by_alias=True,
        validate_by_name=False,
        json_schema_extra={"examples": [{"sourceId": _EXAMPLE["id"]}]},
    )

    source_id: Annotated[SourceId, ID]
    """The `id` of a saved payment method."""


_MAX_YEAR = 9999


def payment_source_view(source: Source, *, is_default: bool, now: datetime) -> PaymentSource:
    """The payment method as the frontend sees it, of any type and in any state. `now` is in UTC."""
    details = source.details
    brand = details.brand or None
    # At most four digits, even if Digital River sends the whole number.
    last_four = (details.last_four_digits or "")[-4:] or None
    return PaymentSource(
        id=source.id,
        type=source.type,
        label=label(source.type, brand=brand, last_four=last_four),
        brand=brand,
        last_four=last_four,
        expiry_month=_whole_number(details.expiration_month),
        expiry_year=_whole_number(details.expiration_year),
        owner_name=_owner_name(source.owner),
        billing_address=AddressView.of(source.owner.address if source.owner else None),
        state=source.state,
        is_default=is_default,
        is_expired=is_expired(details, now),
        is_reusable=bool(source.reusable),
    )


def is_expired(details: SourceDetails, now: datetime) -> bool:
    """Whether the expiry month is over. A card is usable until its last day. `now` is in UTC."""
    year, month = _whole_number(details.expiration_year), _whole_number(details.expiration_month)
    return year is not None and (year, month or 12) < (now.year, now.month)


def _whole_number(number: Decimal | None) -> int | None:
    # Digital River's document types months and years as `number`, which allows 12.5.
    if number is None or not 0 < number <= _MAX_YEAR or number != number.to_integral_value():
        return None
    return int(number)


def _owner_name(owner: SourceOwner | None) -> str | None:
    if owner is None:
        return None
    full_name = " ".join(part.strip() for part in (owner.first_name, owner.last_name) if part)
    return full_name.strip() or owner.organization or None
