"""The default shipping address: its models, and the rules that it must meet before Digital River gets it.

Digital River docs, Checkouts: countries are ISO 3166-1 alpha-2; postal codes are checked in seven countries,
states in two; a physical delivery needs line1, city, country and, where they are checked, those two.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.digital_river.models import Address, Party
from app.web.api_model import ApiModel
from app.web.iso_codes import is_country, is_state
from app.web.postal_address import ADDRESS_EXAMPLE, AddressView, Line

Email = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s.,\x00-\x1f\x7f]+(\.[^@\s.,\x00-\x1f\x7f]+)+$"
    ),
]
"""An e-mail address, checked roughly; Digital River checks it again."""

_COUNTRIES_WITH_STATES = frozenset({"US", "CA"})
_POSTAL_CODE_FORMATS: Mapping[str, re.Pattern[str]] = {
    "US": re.compile(r"\d{5}(-\d{4})?", re.ASCII),
    "CA": re.compile(r"[A-Z]\d[A-Z] ?\d[A-Z]\d", re.ASCII),
    "GB": re.compile(r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}", re.ASCII),
    **dict.fromkeys(("DE", "FR", "ES", "IT"), re.compile(r"\d{5}", re.ASCII)),
}


def _missing_error() -> PydanticCustomError:
    # `app/web` knows the type "missing": the pointer of the error then names the absent member.
    return PydanticCustomError("missing", "This is required")


def _country(code: str) -> str:
    if is_country(code.upper()):
        return code.upper()
    raise ValueError("This is not a country of ISO 3166-1, such as DE")


Country = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$"), AfterValidator(_country)]

_ADDRESS_EXAMPLE = {name: part for name, part in ADDRESS_EXAMPLE.items() if part is not None}
_ADDITIONAL_INFO_EXAMPLE: dict[str, Any] = {"phoneticName": "エイダ"}
_SHIPPING_EXAMPLE: dict[str, Any] = {
    "name": "Ada Lovelace",
    "phone": "+1 952 111 1111",
    "email": "ada@example.com",
    "address": _ADDRESS_EXAMPLE,
}


class AdditionalAddressInfo(ApiModel):
    """More parts of an address that some countries need."""

    model_config = ConfigDict(
        validate_by_name=False, json_schema_extra={"examples": [_ADDITIONAL_INFO_EXAMPLE]}
    )

    neighborhood: Line | None = None
    division: Line | None = None
    phonetic_name: Line | None = None


class PostalAddress(ApiModel):
    """A postal address to which parcels can be delivered."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"examples": [_ADDRESS_EXAMPLE]})

    # First, because the rules of the others depend on it.
    country: Country
    """ISO 3166-1 alpha-2."""
    line1: Line
    line2: Line | None = None
    city: Line
    postal_code: Line | None = None
    """Required and checked in US, CA, GB, DE, FR, ES and IT."""
    state: Line | None = None
    """Required and checked in US and CA: two letters, such as `MN`."""

    @model_validator(mode="before")
    @classmethod
    def _default_absent_to_null(cls, data: Any) -> Any:
        # So that the rules below see an absent member, and errors use its name in JSON.
        return {"postalCode": None, "state": None, **data} if isinstance(data, Mapping) else data

    @field_validator("postal_code")
    @classmethod
    def _check_postal_code(cls, code: str | None, info: ValidationInfo) -> str | None:
        pattern = _POSTAL_CODE_FORMATS.get(info.data.get("country", ""))
        if pattern is None:
            return code
        if code is None:
            raise _missing_error()
        if pattern.fullmatch(code.upper()):
            return code.upper()
        raise ValueError("This is not a postal code of this country")

    @field_validator("state")
    @classmethod
    def _check_state(cls, state: str | None, info: ValidationInfo) -> str | None:
        country = info.data.get("country", "")
        if country not in _COUNTRIES_WITH_STATES:
            return state
        if state is None:
            raise _missing_error()
        if is_state(country, state.upper()):
            return state.upper()
        raise ValueError("This is not a state of this country, such as MN")


class ShippingAddress(ApiModel):
    """The complete default shipping address."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"examples": [_SHIPPING_EXAMPLE]})

    name: Line | None = None
    phone: Line | None = None
    email: Email | None = None
    organization: Line | None = None
    """Printed on invoices as the business name."""
    address: PostalAddress
    additional_address_info: AdditionalAddressInfo | None = None

    def to_digital_river(self) -> dict[str, Any]:
        """The JSON that Digital River takes."""
        values = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {name: value for name, value in values.items() if value}


class PostalAddressChanges(ApiModel):
    """Changes to a postal address; null removes a member."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"examples": [{"line2": "Suite 1"}]})

    country: Country | None = None
    line1: Line | None = None
    line2: Line | None = None
    city: Line | None = None
    postal_code: Line | None = None
    state: Line | None = None


class ShippingChanges(ApiModel):
    """Changes to the default shipping address; null removes a member. The result must be a complete
    address."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"examples": [{"phone": None}]})

    name: Line | None = None
    phone: Line | None = None
    email: Email | None = None
    organization: Line | None = None
    address: PostalAddressChanges | None = None
    additional_address_info: AdditionalAddressInfo | None = None


class AdditionalAddressInfoView(ApiModel):
    """More parts of an address that some countries need."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"neighborhood": None, "division": None, **_ADDITIONAL_INFO_EXAMPLE}]}
    )

    neighborhood: str | None
    division: str | None
    phonetic_name: str | None


class ShippingAddressView(ApiModel):
    """The default shipping address."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_SHIPPING_EXAMPLE,
                    "organization": None,
                    "address": ADDRESS_EXAMPLE,
                    "additionalAddressInfo": None,
                }
            ]
        }
    )

    name: str | None
    phone: str | None
    email: str | None
    organization: str | None
    address: AddressView
    additional_address_info: AdditionalAddressInfoView | None

    @classmethod
    def of(cls, party: Party | None) -> Self | None:
        """The view; None if there is no address, or only the rest that `blank_address` leaves."""
        if party is None or not _has_content(party):
            return None
        address = party.address or Address()
        return cls.model_validate({**party.model_dump(), "address": address.model_dump()})


def blank_address(country: str | None) -> dict[str, Any]:
    """The value that replaces a deleted address: only a country, the least that Digital River accepts.

    Digital River's docs do not say how to remove an address. Replacing it erases all personal data in it.
    """
    return {"address": {"country": country or "US"}}


def _has_content(party: Party) -> bool:
    values = party.model_dump(exclude={"address": {"country"}})
    nested = [
        value for part in values.values() for value in (part.values() if isinstance(part, dict) else [part])
    ]
    return any(nested)
