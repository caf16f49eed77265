"""Names and addresses, which orders, customers and payment sources all carry."""

from app.digital_river.models.reading import FarSideModel, Identifier


class Address(FarSideModel):
    """`country` is ISO 3166-1 alpha-2."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    postal_code: str | None = None
    state: str | None = None
    country: str | None = None


class AdditionalAddressInfo(FarSideModel):
    """What some countries need beside an address."""

    neighborhood: str | None = None
    division: str | None = None
    phonetic_name: str | None = None


class Party(FarSideModel):
    """Where something is shipped or billed to."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    organization: str | None = None
    address: Address | None = None
    additional_address_info: AdditionalAddressInfo | None = None


class Owner(FarSideModel):
    """Who a payment source belongs to."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    organization: str | None = None
    upstream_id: str | None = None
    customer_id: Identifier | None = None
    address: Address | None = None
    additional_address_info: AdditionalAddressInfo | None = None
