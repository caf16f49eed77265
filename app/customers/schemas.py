"""Models of a buyer's profile: what frontends get and what they send."""

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
)

from app.customers.addresses import Email, ShippingAddress, ShippingAddressView, ShippingChanges
from app.digital_river.models import Customer
from app.web.api_model import ApiModel, Instant
from app.web.iso_codes import is_country, is_language

# Digital River docs, Metadata.
MAX_METADATA_ENTRIES = 20
MAX_METADATA_KEY_LENGTH = 40
MAX_METADATA_VALUE_LENGTH = 500

_LOCALE = re.compile(r"([A-Za-z]{2})[-_]([A-Za-z]{2})", re.ASCII)

_REGISTRATION_EXAMPLE: dict[str, Any] = {"email": "ada@example.com", "type": "individual", "locale": "en-US"}


def _locale(text: str) -> str:
    parts = _LOCALE.fullmatch(text)
    if parts is not None:
        language, country = parts[1].lower(), parts[2].upper()
        if is_language(language) and is_country(country):
            return f"{language}-{country}"
    raise ValueError("A language and a country are needed, such as en-US")


def _metadata_value(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) <= MAX_METADATA_VALUE_LENGTH and text not in {"NaN", "Infinity", "-Infinity"}:
            return value
        raise ValueError(f"At most {MAX_METADATA_VALUE_LENGTH} characters are possible")
    raise ValueError("Text, a number, true or false is needed here")


CustomerType = Literal["individual", "business"]

Locale = Annotated[
    str,
    AfterValidator(_locale),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z]{2}[-_][A-Za-z]{2}$", "examples": ["en-US"]}),
]
"""Language (ISO 639-1) and country. `en_US` and `en-US` are read, `en-US` (BCP 47) is written."""

_MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=MAX_METADATA_KEY_LENGTH)]
_MetadataValue = Annotated[
    Any,
    BeforeValidator(_metadata_value),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"], "maxLength": MAX_METADATA_VALUE_LENGTH}),
]
MetadataChanges = dict[_MetadataKey, _MetadataValue]
"""Names and values to set. A value of null or "" removes the name."""


class Registration(ApiModel):
    """The first profile of a new customer. Every value can be changed later."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"examples": [_REGISTRATION_EXAMPLE]})

    email: Email | None = None
    type: CustomerType | None = None
    locale: Locale | None = None
    shipping: ShippingAddress | None = None
    metadata: MetadataChanges = Field(default_factory=dict, max_length=MAX_METADATA_ENTRIES)


class ProfileChanges(ApiModel):
    """A JSON merge patch (RFC 7396): absent members stay as they are, null removes a member."""

    model_config = ConfigDict(
        validate_by_name=False,
        json_schema_extra={"examples": [{"locale": "de-DE", "metadata": {"newsletter": True, "team": None}}]},
    )

    email: Email | None = None
    """Can be changed, but not removed."""
    type: CustomerType | None = None
    """Can be changed, but not removed."""
    locale: Locale | None = None
    """Can be changed, but not removed."""
    shipping: ShippingChanges | None = None
    """Merged into the current address; null removes the address."""
    metadata: MetadataChanges | None = None
    """Merged into the current metadata; null removes all metadata."""

    @field_validator("email", "type", "locale")
    @classmethod
    def _reject_null(cls, value: str | None) -> str:
        # Digital River documents no way to remove these from a customer.
        if value is None:
            raise ValueError("This can be changed, but not removed")
        return value


class ProfileView(ApiModel):
    """The profile of a buyer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "ada",
                    **_REGISTRATION_EXAMPLE,
                    "enabled": True,
                    "shipping": None,
                    "metadata": {"newsletter": True},
                    "forgetRequested": False,
                    "createdAt": "2026-01-31T09:30:00Z",
                }
            ]
        }
    )

    id: str
    email: str | None
    type: str | None
    """`individual` or `business`."""
    locale: str | None
    """Language and country, such as `en-US`."""
    enabled: bool
    """If false, the shop accepts no new orders from this customer. A buyer cannot change it."""
    shipping: ShippingAddressView | None
    """The default shipping address."""
    metadata: dict[str, Any]
    forget_requested: bool
    """Whether the buyer has asked to be forgotten."""
    created_at: Instant | None

    @classmethod
    def of(cls, customer: Customer) -> Self:
        """The customer as the frontend sees it."""
        return cls(
            id=customer.id,
            email=customer.email,
            type=customer.type,
            locale=customer.locale.replace("_", "-") if customer.locale else None,
            enabled=customer.enabled,
            shipping=ShippingAddressView.of(customer.shipping),
            metadata=customer.metadata,
            forget_requested=customer.request_to_be_forgotten,
            created_at=customer.created_time,
        )
