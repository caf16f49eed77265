"""Customers, with the rules Digital River documents for ids, addresses, metadata and the default source."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.addresses import ADDRESS_FIELDS, SUBDIVISIONS, check_address, read_additional
from sandbox.api.body_validation import Form, read_json
from sandbox.api.lists import Filters, answer_list, plain
from sandbox.commerce.customers import attached_to, get_stored_customer, show_customer
from sandbox.commerce.metadata import merged_metadata
from sandbox.delivery.events import emit
from sandbox.errors import conflict
from sandbox.json_types import Json
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import find_moment, stamp

_BOTH = (
    "email",
    "shipping",
    "defaultSourceId",
    "taxCertificate",
    "metadata",
    "locale",
    "type",
    "enabled",
)
_CREATE = ("id", *_BOTH)
_UPDATE = ("requestToBeForgotten", *_BOTH)
_SHIPPING = ("address", "name", "phone", "email", "organization", "additionalAddressInfo")
_CERTIFICATE = ("companyName", "taxAuthority", "startDate", "endDate", "fileId")
_LONGEST_ID = 40
_FILTERS = Filters(equals=plain("email", "requestToBeForgotten"), moments=plain("createdTime", "updatedTime"))


def _read(world: World, body: Json, known: tuple[str, ...], owner: str | None) -> Json:
    """The validated members of a create or update. Raises one 400 with everything that is wrong."""
    form = Form(body, known)
    if body.get("id") == "":
        form.refuse_value("id")
    read: Json = {
        "id": form.text("id", longest=_LONGEST_ID),
        "email": form.email("email"),
        "locale": form.locale("locale"),
        "type": form.one_of("type", ("individual", "business")),
        "enabled": form.boolean("enabled"),
        "requestToBeForgotten": form.boolean("requestToBeForgotten"),
        "defaultSourceId": form.text("defaultSourceId"),
        "shipping": _read_shipping(form),
    }
    certificate = _read_certificate(world, form)
    form.done()
    if certificate is not None:
        former = world.ledger.customers.get(owner or "", {})
        read["taxCertificates"] = [*former.get("taxCertificates", []), certificate]
    source_id = read["defaultSourceId"]
    if source_id is not None:
        source = world.ledger.sources.get(source_id)
        if source is None or owner is None or source.get("customerId") != owner:
            # The docs do not print this answer.
            raise conflict("source_not_found", f"Source {source_id} was not found.", "defaultSourceId")
    return {name: value for name, value in read.items() if value is not None}


def _read_shipping(form: Form) -> Json | None:
    shipping = form.nested("shipping", _SHIPPING)
    if shipping is None:
        return None
    for name in ("name", "phone", "organization"):
        shipping.text(name)
    shipping.email("email")
    shipping.absorb(read_additional(shipping))
    address = shipping.nested("address", ADDRESS_FIELDS)
    if address is None:
        shipping.require("address")
    else:
        check_address(address)
        shipping.absorb(address)
    form.absorb(shipping)
    return shipping.body


def _read_certificate(world: World, form: Form) -> Json | None:
    """US only; the dates come back as midnights (docs sample)."""
    certificate = form.nested("taxCertificate", _CERTIFICATE)
    if certificate is None:
        return None
    certificate.require(*_CERTIFICATE)
    certificate.text("companyName")
    authority, file_id = certificate.text("taxAuthority"), certificate.text("fileId")
    if authority and f"US-{authority}" not in SUBDIVISIONS:
        certificate.refuse_value("taxAuthority")
    if file_id and file_id not in world.ledger.files:
        certificate.refuse_value("fileId")
    dates: Json = {}
    for name in ("startDate", "endDate"):
        moment = find_moment(certificate.moment(name))
        if moment is not None:
            dates[name] = stamp(moment.replace(hour=0, minute=0, second=0, microsecond=0))
    form.absorb(certificate)
    return certificate.body | dates


async def create_customer(request: Request) -> Response:
    world = world_of(request)
    body = await read_json(request)
    read = _read(world, body, _CREATE, None)
    if body.get("metadata") is not None:
        read["metadata"] = merged_metadata({}, body["metadata"])
    if read.get("id") in world.ledger.customers:
        raise conflict("already_exists", f"Customer '{read['id']}' already exists.", "id")
    now = stamp(world.now())
    customer: Json = {
        "id": world.ledger.next_number(),
        "createdTime": now,
        "enabled": True,
        "requestToBeForgotten": False,
        **read,
        "updatedTime": now,
        "liveMode": world.settings.live_mode,
    }
    world.ledger.customers[customer["id"]] = customer
    emit(world, "customer.created", show_customer(world, customer))
    return JSONResponse(show_customer(world, customer), 201)


async def list_customers(request: Request) -> Response:
    world = world_of(request)
    return answer_list(
        request, world.ledger.customers, _FILTERS, show=lambda customer: show_customer(world, customer)
    )


async def get_customer(request: Request) -> Response:
    world = world_of(request)
    return JSONResponse(show_customer(world, get_stored_customer(world, request.path_params["id"])))


async def update_customer(request: Request) -> Response:
    """What is named is replaced, metadata is merged, the rest stays."""
    world = world_of(request)
    customer = get_stored_customer(world, request.path_params["id"])
    body = await read_json(request)
    changes = _read(world, body, _UPDATE, customer["id"])
    if body.get("metadata") is not None:
        changes["metadata"] = merged_metadata(customer.get("metadata"), body["metadata"])
    previous = {
        name: customer[name] for name in changes if name in customer and customer[name] != changes[name]
    }
    customer.update(changes, updatedTime=stamp(world.now()))
    emit(world, "customer.updated", show_customer(world, customer), previous)
    return JSONResponse(show_customer(world, customer))


async def delete_customer(request: Request) -> Response:
    """Permanent; orders stay. That the customer's belongings go along, without events, is inferred."""
    world = world_of(request)
    customer = get_stored_customer(world, request.path_params["id"])
    for source in attached_to(world.ledger.sources, customer):
        source["state"] = "cancelled"
        del source["customerId"]
    for tax_identifier in attached_to(world.ledger.tax_identifiers, customer):
        del world.ledger.tax_identifiers[tax_identifier["id"]]
    del world.ledger.customers[customer["id"]]
    emit(world, "customer.deleted", customer, {})
    return Response(status_code=204)


routes = [
    Route("/customers", create_customer, methods=["POST"]),
    Route("/customers", list_customers, methods=["GET"]),
    Route("/customers/{id}", get_customer, methods=["GET"]),
    Route("/customers/{id}", update_customer, methods=["POST"]),
    Route("/customers/{id}", delete_customer, methods=["DELETE"]),
]
