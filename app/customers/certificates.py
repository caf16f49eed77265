"""US exemption certificates: the file goes to Digital River first, then the customer learns of it."""

from contextlib import suppress
from datetime import UTC, date, datetime, time

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.customers import refusals
from app.customers.tax_schemas import NewTaxCertificate, TaxCertificateView, status_on
from app.customers.upload import Form
from app.digital_river import customers, files, models
from app.digital_river.errors import Conflict, DigitalRiverError, Missing, Refused, Unavailable
from app.digital_river.multipart import Upload
from app.digital_river.pages import Entries
from app.digital_river.transport import Transport
from app.ids import CustomerId, FileId
from app.resources import Resources
from app.web.problems import Invalid

PURPOSE = "tax_document_customer_upload"

_OUR_NAMES = {"companyName": "company", "taxAuthority": "authority", "fileId": "file"}


async def list_certificates(far: Transport, customer_id: CustomerId) -> Entries[TaxCertificateView]:
    """The customer's certificates, newest first; none for a customer that does not exist."""
    try:
        return TaxCertificateView.all_of(await customers.fetch_customer(far, customer_id))
    except Missing:
        return Entries()


async def add(resources: Resources, customer_id: CustomerId, form: Form) -> TaxCertificateView:
    """Hand the certificate in.

    Raises:
        RequestValidationError, Invalid: a field is missing or wrong.
    """
    new, upload = _checked(form)
    far = resources.far
    await customers.ensure_customer(far, customer_id)
    try:
        file = await files.upload_file(far, purpose=PURPOSE, upload=upload)
    except Refused:
        raise Invalid.at("/file", "This file is not accepted.") from None
    await _announce(far, customer_id, new, FileId(file.id))
    return TaxCertificateView(
        **new.model_dump(), status=status_on(datetime.now(UTC).date(), new.start_date, new.end_date)
    )


async def _announce(far: Transport, customer_id: CustomerId, new: NewTaxCertificate, file_id: FileId) -> None:
    """Tell Digital River whose file it is; a file that is nobody's for certain is deleted."""
    try:
        await customers.update_customer(far, customer_id, _changes(new, file_id))
    except Unavailable:
        # It may have worked all the same, and a certificate that is there twice can never be removed.
        customer = await customers.fetch_customer(far, customer_id)
        if all(one.file_id != file_id for one in customer.tax_certificates):
            raise
    except (Refused, Conflict, Missing) as error:
        with suppress(DigitalRiverError):
            await files.delete_file(far, file_id)
        if isinstance(error, Refused):
            raise refusals.told(error, below="taxCertificate", our_names=_OUR_NAMES) from None
        raise


def _checked(form: Form) -> tuple[NewTaxCertificate, Upload]:
    errors = []
    try:
        new = NewTaxCertificate.model_validate(form.fields)
    except ValidationError as error:
        errors += [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
    if form.upload is None:
        errors.append({"type": "missing", "loc": ("body", "file"), "msg": "Field required"})
    if errors or form.upload is None:
        raise RequestValidationError(errors, body=form.fields)
    return new, form.upload


def _changes(new: NewTaxCertificate, file_id: str) -> models.CustomerChanges:
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
