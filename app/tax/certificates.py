"""Adds and lists US exemption certificates, each of them once.

The file goes to Digital River first, then the customer gets the certificate. A certificate cannot be
removed, so it must not be added twice: if it is unknown whether the customer has a file, the next request
with the same certificate asks Digital River about that file, and uploads no other.
"""

import hashlib
import json
from contextlib import suppress
from datetime import UTC, date, datetime, time

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.db.engine import AsyncEngine
from app.digital_river import models
from app.digital_river.api import customers, files
from app.digital_river.api.pagination import Entries
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Upload
from app.digital_river.errors import (
    ConflictingState,
    DigitalRiverError,
    Garbled,
    Missing,
    Refused,
    Unavailable,
)
from app.ids import CustomerId, FileId
from app.tax import store
from app.tax.schemas import NewTaxCertificate, TaxCertificateView, status_on
from app.tax.upload import CertificateForm, disk_errors
from app.web.problems import Invalid
from app.web.validation import invalid_fields

PURPOSE = "tax_document_customer_upload"

_FIELD_NAMES = {"companyName": "company", "taxAuthority": "authority", "fileId": "file"}


class _AssignmentRejected(Exception):
    """Digital River refused the certificate; `reason` is the error for the caller."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


async def list_certificates(
    client: DigitalRiverClient, customer_id: CustomerId
) -> Entries[TaxCertificateView]:
    """The customer's certificates, newest first; none for a customer that does not exist."""
    try:
        return TaxCertificateView.all_of(await customers.fetch_customer(client, customer_id))
    except Missing:
        return Entries()


async def add_certificate(
    engine: AsyncEngine, client: DigitalRiverClient, customer_id: CustomerId, form: CertificateForm
) -> TaxCertificateView:
    """Upload the file and add the certificate to the customer.

    Raises:
        RequestValidationError, Invalid: a field is missing or wrong.
    """
    new, upload = _validate(form)
    await customers.ensure_customer(client, customer_id)
    digest = _digest(customer_id, new, form.digest)
    async with engine.connect() as connection:
        file_id = await store.find_upload(connection, digest)
    if file_id is None:
        file_id = await _upload_file(client, upload)
        async with engine.begin() as connection:
            await store.insert_upload(connection, customer_id, digest, file_id)
    elif await _has_certificate(client, customer_id, file_id):
        # An earlier request added the certificate, and only its answer was lost.
        await _delete_upload(engine, digest)
        return _view(new)
    try:
        await _assign_to_customer(client, customer_id, new, file_id)
    except _AssignmentRejected as error:
        await _delete_upload(engine, digest)
        raise error.reason from None
    # After any other failure the upload stays stored: Digital River may have added the certificate.
    await _delete_upload(engine, digest)
    return _view(new)


async def _upload_file(client: DigitalRiverClient, upload: Upload) -> FileId:
    try:
        with disk_errors():
            return FileId((await files.upload_file(client, purpose=PURPOSE, upload=upload)).id)
    except Refused:
        raise Invalid.at("/file", "This file is not accepted.") from None


async def _delete_upload(engine: AsyncEngine, digest: bytes) -> None:
    async with engine.begin() as connection:
        await store.delete_upload(connection, digest)


async def _assign_to_customer(
    client: DigitalRiverClient, customer_id: CustomerId, new: NewTaxCertificate, file_id: FileId
) -> None:
    """Add the certificate with this file to the customer.

    Raises:
        _AssignmentRejected: Digital River refused it; the file is deleted.
    """
    try:
        await customers.update_customer(client, customer_id, _customer_changes(new, file_id))
    except (Unavailable, Garbled):
        # It may have worked all the same, and a second copy of the certificate could never be removed.
        if not await _has_certificate(client, customer_id, file_id):
            raise
    except (Refused, ConflictingState, Missing) as error:
        with suppress(DigitalRiverError):
            await files.delete_file(client, file_id)
        if isinstance(error, Refused):
            raise _AssignmentRejected(
                invalid_fields(error, root_member="taxCertificate", our_names=_FIELD_NAMES)
            ) from error
        raise _AssignmentRejected(error) from error


async def _has_certificate(client: DigitalRiverClient, customer_id: CustomerId, file_id: FileId) -> bool:
    customer = await customers.fetch_customer(client, customer_id)
    return any(certificate.file_id == file_id for certificate in customer.tax_certificates)


def _digest(customer_id: CustomerId, new: NewTaxCertificate, file: bytes) -> bytes:
    return hashlib.sha256(json.dumps([customer_id, new.model_dump_json(), file.hex()]).encode()).digest()


def _view(new: NewTaxCertificate) -> TaxCertificateView:
    status = status_on(datetime.now(UTC).date(), new.start_date, new.end_date)
    return TaxCertificateView(**new.model_dump(), status=status)


def _validate(form: CertificateForm) -> tuple[NewTaxCertificate, Upload]:
    errors = []
    try:
        new = NewTaxCertificate.model_validate(form.fields)
    except ValidationError as error:
        errors += [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
    if form.upload is None:
        errors.append({"type": "missing", "loc": ("body", "file"), "msg": "Field required"})
    if errors or form.upload is None:
        raise RequestValidationError(errors, body=form.fields)
    return new, form.upload


def _customer_changes(new: NewTaxCertificate, file_id: str) -> models.CustomerChanges:
    certificate = models.NewTaxCertificate(
        company_name=new.company,
        tax_authority=new.authority,
        start_date=_midnight(new.start_date),
        end_date=_midnight(new.end_date),
        file_id=file_id,
    )
    return models.CustomerChanges(tax_certificate=certificate)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
