"""The models of names and addresses, which orders, customers and payment sources share."""

from app.digital_river.models.tolerant_model import DigitalRiverModel, Identifier


class Address(DigitalRiverModel):
    """`country` is ISO 3166-1 alpha-2."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    postal_code: str | None = None
    state: str | None = None
    country: str | None = None


class AdditionalAddressInfo(DigitalRiverModel):
    """Fields that some countries need in addition to an address."""

    neighborhood: str | None = None
    division: str | None = None
    phonetic_name: str | None = None


class Party(DigitalRiverModel):
    """The person or company and the address of a shipment or a bill."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    organization: str | None = None
    address: Address | None = None
    additional_address_info: AdditionalAddressInfo | None = None


class SourceOwner(DigitalRiverModel):
    """The owner of a payment source."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    organization: str | None = None
    upstream_id: str | None = None
    customer_id: Identifier | None = None
    address: Address | None = None
    additional_address_info: AdditionalAddressInfo | None = None
