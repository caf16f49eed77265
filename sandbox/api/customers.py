"""Customers, with Digital River's documented rules for ids, addresses, metadata and the default source."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.addresses import ADDRESS_FIELDS, SUBDIVISIONS, check_address, read_additional
from sandbox.api.body_validation import BodyValidator, read_json
from sandbox.api.lists import Filters, by_member, list_response
from sandbox.commerce.customers import attached_to, get_stored_customer, show_customer
from sandbox.commerce.metadata import merged_metadata
from sandbox.delivery.events import emit
from sandbox.errors import conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime, runtime_of
from sandbox.state.clock import find_time, iso_time

_COMMON = (
    "email",
    "shipping",
    "defaultSourceId",
    "taxCertificate",
    "metadata",
    "locale",
    "type",
    "enabled",
)
_CREATE = ("id", *_COMMON)
_UPDATE = ("requestToBeForgotten", *_COMMON)
_SHIPPING = ("address", "name", "phone", "email", "organization", "additionalAddressInfo")
_CERTIFICATE = ("companyName", "taxAuthority", "startDate", "endDate", "fileId")
_LONGEST_ID = 40
_FILTERS = Filters(
    equals=by_member("email", "requestToBeForgotten"), timestamps=by_member("createdTime", "updatedTime")
)


def _read(runtime: Runtime, body: Json, known: tuple[str, ...], owner: str | None) -> Json:
    """The validated members of a create or update. Raises one 400 with all errors."""
    validator = BodyValidator(body, known)
    if body.get("id") == "":
        validator.reject_value("id")
    read: Json = {
        "id": validator.text("id", longest=_LONGEST_ID),
        "email": validator.email("email"),
        "locale": validator.locale("locale"),
        "type": validator.one_of("type", ("individual", "business")),
        "enabled": validator.boolean("enabled"),
        "requestToBeForgotten": validator.boolean("requestToBeForgotten"),
        "defaultSourceId": validator.text("defaultSourceId"),
        "shipping": _read_shipping(validator),
    }
    certificate = _read_certificate(runtime, validator)
    validator.raise_errors()
    if certificate is not None:
        former = runtime.store.customers.get(owner or "", {})
        read["taxCertificates"] = [*former.get("taxCertificates", []), certificate]
    source_id = read["defaultSourceId"]
    if source_id is not None:
        source = runtime.store.sources.get(source_id)
        if source is None or owner is None or source.get("customerId") != owner:
            # The docs do not print this answer.
            raise conflict("source_not_found", f"Source {source_id} was not found.", "defaultSourceId")
    return {name: value for name, value in read.items() if value is not None}


def _read_shipping(validator: BodyValidator) -> Json | None:
    shipping = validator.nested("shipping", _SHIPPING)
    if shipping is None:
        return None
    for name in ("name", "phone", "organization"):
        shipping.text(name)
    shipping.email("email")
    shipping.merge_errors(read_additional(shipping))
    address = shipping.nested("address", ADDRESS_FIELDS)
    if address is None:
        shipping.require("address")
    else:
        check_address(address)
        shipping.merge_errors(address)
    validator.merge_errors(shipping)
    return shipping.body


def _read_certificate(runtime: Runtime, validator: BodyValidator) -> Json | None:
    """For US states only. The dates are answered with the time 00:00:00 (docs sample)."""
    certificate = validator.nested("taxCertificate", _CERTIFICATE)
    if certificate is None:
        return None
    certificate.require(*_CERTIFICATE)
    certificate.text("companyName")
    authority, file_id = certificate.text("taxAuthority"), certificate.text("fileId")
    if authority and f"US-{authority}" not in SUBDIVISIONS:
        certificate.reject_value("taxAuthority")
    if file_id and file_id not in runtime.store.files:
        certificate.reject_value("fileId")
    dates: Json = {}
    for name in ("startDate", "endDate"):
        timestamp = find_time(certificate.timestamp(name))
        if timestamp is not None:
            dates[name] = iso_time(timestamp.replace(hour=0, minute=0, second=0, microsecond=0))
    validator.merge_errors(certificate)
    return certificate.body | dates


async def create_customer(request: Request) -> Response:
    runtime = runtime_of(request)
    body = await read_json(request)
    read = _read(runtime, body, _CREATE, None)
    if body.get("metadata") is not None:
        read["metadata"] = merged_metadata({}, body["metadata"])
    if read.get("id") in runtime.store.customers:
        raise conflict("already_exists", f"Customer '{read['id']}' already exists.", "id")
    now = iso_time(runtime.now())
    customer: Json = {
        "id": runtime.store.next_number(),
        "createdTime": now,
        "enabled": True,
        "requestToBeForgotten": False,
        **read,
        "updatedTime": now,
        "liveMode": runtime.settings.live_mode,
    }
    runtime.store.customers[customer["id"]] = customer
    emit(runtime, "customer.created", show_customer(runtime, customer))
    return JSONResponse(show_customer(runtime, customer), 201)


async def list_customers(request: Request) -> Response:
    runtime = runtime_of(request)
    return list_response(
        request, runtime.store.customers, _FILTERS, show=lambda customer: show_customer(runtime, customer)
    )


async def get_customer(request: Request) -> Response:
    runtime = runtime_of(request)
    return JSONResponse(show_customer(runtime, get_stored_customer(runtime, request.path_params["id"])))


async def update_customer(request: Request) -> Response:
    """Replace the given members and merge metadata. Absent members stay."""
    runtime = runtime_of(request)
    customer = get_stored_customer(runtime, request.path_params["id"])
    body = await read_json(request)
    changes = _read(runtime, body, _UPDATE, customer["id"])
    if body.get("metadata") is not None:
        changes["metadata"] = merged_metadata(customer.get("metadata"), body["metadata"])
    previous = {
        name: customer[name] for name in changes if name in customer and customer[name] != changes[name]
    }
    customer.update(changes, updatedTime=iso_time(runtime.now()))
    emit(runtime, "customer.updated", show_customer(runtime, customer), previous)
    return JSONResponse(show_customer(runtime, customer))


async def delete_customer(request: Request) -> Response:
    """Delete for good. Orders stay. Sources and tax identifiers are removed without events (inferred)."""
    runtime = runtime_of(request)
    customer = get_stored_customer(runtime, request.path_params["id"])
    for source in attached_to(runtime.store.sources, customer):
        source["state"] = "cancelled"
        del source["customerId"]
    for tax_identifier in attached_to(runtime.store.tax_identifiers, customer):
        del runtime.store.tax_identifiers[tax_identifier["id"]]
    del runtime.store.customers[customer["id"]]
    emit(runtime, "customer.deleted", customer, {})
    return Response(status_code=204)


routes = [
    Route("/customers", create_customer, methods=["POST"]),
    Route("/customers", list_customers, methods=["GET"]),
    Route("/customers/{id}", get_customer, methods=["GET"]),
    Route("/customers/{id}", update_customer, methods=["POST"]),
    Route("/customers/{id}", delete_customer, methods=["DELETE"]),
]
