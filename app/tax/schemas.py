"""Models of tax identifiers and exemption certificates: what frontends get and what they send."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.alias_generators import to_camel

from app.digital_river.api.pagination import Entries
from app.digital_river.models import Customer, TaxApplicability, TaxCertificate, TaxIdentifier
from app.web.api_model import ApiModel, Instant
from app.web.iso_codes import is_state
from app.web.paging import PartialPage
from app.web.postal_address import Line

CertificateStatus = Literal["active", "notYetValid", "expired"]

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _day(value: object) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        value = date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("A day like 2026-01-31 is needed")


def _us_state(code: str) -> str:
    if is_state("US", code.upper()):
        return code.upper()
    raise ValueError("This is not a state of the US, such as MN")


Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-31"]}),
]
UsState = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$"), AfterValidator(_us_state)]

_CERTIFICATE_EXAMPLE: dict[str, Any] = {
    "company": "Analytical Engines, Inc.",
    "authority": "MN",
    "startDate": "2026-01-01",
    "endDate": "2026-12-31",
}
_CERTIFICATE_VIEW_EXAMPLE: dict[str, Any] = {**_CERTIFICATE_EXAMPLE, "status": "active"}
_IDENTIFIER_EXAMPLE: dict[str, Any] = {
    "id": "5f0a0198-8d4f-4f0b-9d51-2f6a4b7c8d90",
    "type": "de",
    "value": "DE123456789",
    "state": "verified",
    "verifiedName": "Analytical Engines GmbH",
    "verifiedAddress": None,
    "applicability": [],
    "createdAt": "2026-01-31T09:30:00Z",
}


class NewTaxIdentifier(ApiModel):
    """A tax identifier to add. It replaces the customer's identifier of the same type."""

    model_config = ConfigDict(
        validate_by_name=False, json_schema_extra={"examples": [{"type": "de", "value": "DE123456789"}]}
    )

    type: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z]{2}(_[a-z]+)*$")]
    """Digital River's name of the type, such as `de`, `it_cf` or `br_ie`."""
    value: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$"),
    ]


class ApplicabilityView(ApiModel):
    """Where a tax identifier applies. A null member means: any."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"country": "DE", "sellingEntity": "DR_IRELAND-ENTITY", "customerType": "business"}]
        }
    )

    country: str | None
    selling_entity: str | None
    customer_type: str | None

    @classmethod
    def of(cls, found: TaxApplicability) -> Self:
        """The view of one entry."""
        return cls(country=found.country, selling_entity=found.entity, customer_type=found.customer_type)


class TaxIdentifierView(ApiModel):
    """A tax identifier and the state of its verification."""

    model_config = ConfigDict(json_schema_extra={"examples": [_IDENTIFIER_EXAMPLE]})

    id: str
    type: str | None
    value: str | None
    state: str
    """`pending` (it applies already, the agency has not answered yet), `verified`, or `notValid` (it does not
    apply)."""
    verified_name: str | None
    """The name that the agency has for this identifier."""
    verified_address: str | None
    applicability: list[ApplicabilityView]
    created_at: Instant | None

    @classmethod
    def of(cls, found: TaxIdentifier) -> Self:
        """The view of the identifier."""
        return cls(
            id=found.id,
            type=found.type,
            value=found.value,
            state=to_camel(found.state or "pending"),
            verified_name=found.verified_name,
            verified_address=found.verified_address,
            applicability=[ApplicabilityView.of(entry) for entry in found.applicability],
            created_at=found.created_time,
        )


class NewTaxCertificate(ApiModel):
    """The text fields of the form for a new certificate."""

    model_config = ConfigDict(validate_by_name=False, json_schema_extra={"examples": [_CERTIFICATE_EXAMPLE]})

    company: Line
    authority: UsState
    """The US state that issued the certificate."""
    start_date: Day
    end_date: Day
    """The last day on which it is valid."""

    @field_validator("end_date")
    @classmethod
    def _check_end_date(cls, end: date, info: ValidationInfo) -> date:
        if end < info.data.get("start_date", end):
            raise ValueError("The end must not lie before the start")
        return end


class TaxCertificateView(ApiModel):
    """A US exemption certificate."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CERTIFICATE_VIEW_EXAMPLE]})

    company: str | None
    authority: str | None
    start_date: date | None
    end_date: date | None
    status: CertificateStatus
    """The status by the dates alone, in UTC. Digital River decides whether it accepts the certificate, and
    does not publish the decision."""

    @classmethod
    def of(cls, found: TaxCertificate) -> Self:
        """The view of the certificate, with its status today."""
        start = found.start_date.date() if found.start_date else None
        end = found.end_date.date() if found.end_date else None
        return cls(
            company=found.company_name,
            authority=found.tax_authority,
            start_date=start,
            end_date=end,
            status=status_on(datetime.now(UTC).date(), start, end),
        )

    @classmethod
    def all_of(cls, customer: Customer) -> Entries[Self]:
        """The views of all certificates of a customer, newest first: Digital River appends new ones."""
        newest_first = map(cls.of, reversed(customer.tax_certificates))
        return Entries(newest_first, unreadable=customer.unreadable("tax_certificates"))


class TaxIdentifiersPage(PartialPage[TaxIdentifierView]):
    """All tax identifiers of a customer, always on one page."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_IDENTIFIER_EXAMPLE], "nextCursor": None, "unreadable": 0}]}
    )


class TaxCertificatesPage(PartialPage[TaxCertificateView]):
    """All exemption certificates of a customer, always on one page."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"data": [_CERTIFICATE_VIEW_EXAMPLE], "nextCursor": None, "unreadable": 0}]
        }
    )


def status_on(today: date, start: date | None, end: date | None) -> CertificateStatus:
    """The status by the dates alone. The certificate is valid on both days."""
    if end is not None and today > end:
        return "expired"
    if start is not None and today < start:
        return "notYetValid"
    return "active"
