"""Routes of tax identifiers and US exemption certificates."""

from fastapi import APIRouter, Request, Response, status

from app.access.authorization import OwnCustomer, ReadableCustomer
from app.idempotency.routes import IdempotentRoute
from app.request_resources import ResourcesDep
from app.tax import certificates, identifiers
from app.tax.schemas import (
    NewTaxCertificate,
    NewTaxIdentifier,
    TaxCertificatesPage,
    TaxCertificateView,
    TaxIdentifiersPage,
    TaxIdentifierView,
)
from app.tax.upload import read_form
from app.web.id_types import TaxIdentifierPath
from app.web.problems import (
    BadGateway,
    Conflict,
    InsufficientStorage,
    Invalid,
    NotFound,
    ServiceUnavailable,
    responses,
)

router = APIRouter(prefix="/v1", tags=["tax"], route_class=IdempotentRoute)

_READ_PROBLEMS = responses(Invalid, NotFound, BadGateway, ServiceUnavailable)
_WRITE_PROBLEMS = responses(Conflict, Invalid, NotFound, BadGateway, ServiceUnavailable)


def _certificate_form() -> dict[str, object]:
    """The form for the OpenAPI document: FastAPI describes only forms that it parses itself."""
    schema = NewTaxCertificate.model_json_schema()
    properties = {**schema["properties"], "file": {"type": "string", "format": "binary"}}
    form = {
        "type": "object",
        "description": "The file is a PDF, JPG or PNG of at most 10 MB. Its name needs the right extension.",
        "properties": properties,
        "required": [*schema["required"], "file"],
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


@router.get(
    "/customers/{customerId}/tax-identifiers",
    operation_id="listTaxIdentifiers",
    summary="List tax identifiers",
    responses=_READ_PROBLEMS,
)
async def list_tax_identifiers(resources: ResourcesDep, customer_id: ReadableCustomer) -> TaxIdentifiersPage:
    """All identifiers on one page, newest first. A customer has at most one of each type."""
    found = await identifiers.list_identifiers(resources, customer_id)
    return TaxIdentifiersPage(
        data=[TaxIdentifierView.of(identifier) for identifier in found], unreadable=found.unreadable
    )


@router.post(
    "/customers/{customerId}/tax-identifiers",
    operation_id="addTaxIdentifier",
    summary="Add or replace a tax identifier",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": TaxIdentifierView, "description": "The customer has this identifier already."},
        **_WRITE_PROBLEMS,
    },
)
async def add_tax_identifier(
    resources: ResourcesDep, customer_id: OwnCustomer, new: NewTaxIdentifier, response: Response
) -> TaxIdentifierView:
    """A customer has one identifier of each type, so another value replaces the current identifier of its
    type. If that fails, the current identifier stays, or is restored with a new id and verified again. After
    a 502 or 503 the new identifier may also replace it later."""
    found, is_new = await identifiers.add_identifier(resources, customer_id, new)
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return TaxIdentifierView.of(found)


@router.delete(
    "/customers/{customerId}/tax-identifiers/{taxIdentifierId}",
    operation_id="deleteTaxIdentifier",
    summary="Remove a tax identifier",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=_WRITE_PROBLEMS,
)
async def delete_tax_identifier(
    resources: ResourcesDep, customer_id: OwnCustomer, tax_identifier_id: TaxIdentifierPath
) -> None:
    """Deletes the identifier. The same value can be added again."""
    await identifiers.delete_identifier(resources, customer_id, tax_identifier_id)


@router.get(
    "/customers/{customerId}/tax-certificates",
    operation_id="listTaxCertificates",
    summary="List US exemption certificates",
    responses=_READ_PROBLEMS,
)
async def list_tax_certificates(
    resources: ResourcesDep, customer_id: ReadableCustomer
) -> TaxCertificatesPage:
    """All certificates on one page, newest first."""
    found = await certificates.list_certificates(resources.digital_river, customer_id)
    return TaxCertificatesPage(data=found, unreadable=found.unreadable)


@router.post(
    "/customers/{customerId}/tax-certificates",
    operation_id="addTaxCertificate",
    summary="Add a US exemption certificate",
    status_code=status.HTTP_201_CREATED,
    responses={**_WRITE_PROBLEMS, **responses(InsufficientStorage)},
    openapi_extra=_certificate_form(),
)
async def add_tax_certificate(
    request: Request, resources: ResourcesDep, customer_id: OwnCustomer
) -> TaxCertificateView:
    """Digital River reviews the certificate. This API cannot change or remove it."""
    async with read_form(request) as form:
        return await certificates.add_certificate(
            resources.engine, resources.digital_river, customer_id, form
        )
