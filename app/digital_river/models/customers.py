"""The models of customers, of their tax identifiers and of their tax certificates."""

from typing import Any, ClassVar, Self

from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from app.digital_river.models.parties import Party
from app.digital_river.models.payments import Source
from app.digital_river.models.tolerant_model import (
    AnyInstant,
    DigitalRiverModel,
    Identifier,
    Instant,
    ListOf,
    Metadata,
    Resource,
    Transitions,
)


class TaxCertificate(DigitalRiverModel):
    """A US tax exemption. It has no state: Digital River reviews it silently (Setting up tax exemptions)."""

    company_name: str | None = None
    tax_authority: str | None = None
    # Buyers choose these days: a certificate without an end may end in 9999.
    start_date: AnyInstant | None = None
    end_date: AnyInstant | None = None
    file_id: str | None = None


class TaxApplicability(DigitalRiverModel):
    """The country, the selling entity and the type of customer for which a tax identifier is valid."""

    country: str | None = None
    entity: str | None = None
    customer_type: str | None = None


class TaxIdentifier(Resource):
    """A tax id and the state of its verification: `pending`, `verified` or `not_valid`."""

    customer_id: Identifier | None = None
    type: str | None = None
    value: str | None = None
    state: str | None = None
    state_transitions: Transitions = Field(default_factory=dict)
    verified_name: str | None = Field(None, validation_alias=AliasChoices("verifiedName", "verified_name"))
    verified_address: str | None = Field(
        None, validation_alias=AliasChoices("verifiedAddress", "verified_address")
    )
    created_time: Instant | None = None
    updated_time: Instant | None = None
    applicability: ListOf[TaxApplicability] = ()


class Customer(Resource):
    """A customer with the data saved for the next purchase."""

    id_may_be_logged: ClassVar[bool] = False

    email: str | None = None
    type: str | None = None
    locale: str | None = None
    enabled: bool = True
    shipping: Party | None = None
    default_source_id: str | None = None
    sources: ListOf[Source] = ()
    tax_certificates: ListOf[TaxCertificate] = ()
    request_to_be_forgotten: bool = False
    metadata: Metadata = Field(default_factory=dict)
    created_time: Instant | None = None
    updated_time: Instant | None = None

    @model_validator(mode="after")
    def _require_own_sources(self) -> Self:
        if any(source.customer_id not in {None, self.id} for source in self.sources):
            raise PydanticCustomError("source_of_another", "A source of another customer")
        return self


class NewTaxCertificate(BaseModel):
    """A certificate to add. Digital River keeps the day of both dates and drops the time."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    company_name: str
    tax_authority: str
    start_date: AwareDatetime
    end_date: AwareDatetime
    file_id: str


class CustomerChanges(BaseModel):
    """Changes of a customer. Only fields that were set are sent; None is sent as null."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    email: str | None = None
    type: str | None = None
    locale: str | None = None
    enabled: bool | None = None
    shipping: dict[str, Any] | None = None
    default_source_id: str | None = None
    tax_certificate: NewTaxCertificate | None = None
    request_to_be_forgotten: bool | None = None
    metadata: Metadata | None = None
