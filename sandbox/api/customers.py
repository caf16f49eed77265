"""Customers, with the rules Digital River documents for ids, addresses, metadata and the default source."""

import re

import pycountry
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.api.body_validation import Form, merged_metadata, read_json
from sandbox.api.events import emit
from sandbox.api.lists import Filters, answer_list, plain
from sandbox.commerce.source_views import show_source
from sandbox.errors import Refusal, conflict, not_found
from sandbox.runtime.runtime import World, world_of
from sandbox.state.clock import find_moment, stamp
from sandbox.state.store import Json

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
_ADDRESS = ("line1", "line2", "city", "postalCode", "state", "country")
_ADDITIONAL = ("neighborhood", "division", "phoneticName")
_CERTIFICATE = ("companyName", "taxAuthority", "startDate", "endDate", "fileId")
_LONGEST_ID = 40
_FILTERS = Filters(equals=plain("email", "requestToBeForgotten"), moments=plain("createdTime", "updatedTime"))
# Digital River docs, Checkouts: the countries whose postal codes and states are checked.
_POSTAL_CODES = {
    "US": re.compile(r"\d{5}(-\d{4})?"),
    "CA": re.compile(r"[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d"),
    "GB": re.compile(r"[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}"),
    "DE": re.compile(r"\d{5}"),
    "FR": re.compile(r"\d{5}"),
    "ES": re.compile(r"\d{5}"),
    "IT": re.compile(r"\d{5}"),
}
_WITH_STATES = ("US", "CA")
_COUNTRIES = frozenset(country.alpha_2 for country in pycountry.countries)
_SUBDIVISIONS = frozenset(subdivision.code for subdivision in pycountry.subdivisions)


def get_stored(world: World, identity: str) -> Json:
    """The message is compared word by word by the official Lightning app: no final dot."""
    customer = world.ledger.customers.get(identity)
    if customer is None:
        refusal = not_found("Customer", identity)
        complaint = refusal.complaints[0]
        raise Refusal(404, type(complaint)(complaint.message.rstrip("."), complaint.code, "id"))
    return customer


def show_customer(world: World, customer: Json) -> Json:
    """With the sources and tax identifiers that are attached now; absent when there are none."""
    belongings = {
        "sources": [show_source(source) for source in attached(world.ledger.sources, customer)],
        "taxIdentifiers": attached(world.ledger.tax_identifiers, customer),
    }
    return {**customer, **{name: those for name, those in belongings.items() if those}}


def attached(resources: dict[str, Json], customer: Json) -> list[Json]:
    """Those of the resources that belong to the customer, oldest first."""
    return [resource for resource in resources.values() if resource.get("customerId") == customer["id"]]


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
    address = shipping.nested("address", _ADDRESS)
    if address is None:
        shipping.require("address")
    else:
        check_address(address)
        shipping.absorb(address)
    form.absorb(shipping)
    return shipping.body


def read_additional(form: Form) -> Form | None:
    """`additionalAddressInfo`, as customers and owners of sources have it."""
    additional = form.nested("additionalAddressInfo", _ADDITIONAL)
    if additional is not None:
        for name in _ADDITIONAL:
            additional.text(name)
    return additional


def check_address(address: Form) -> None:
    """Country always; postal code and state where Digital River checks them."""
    address.require("country")
    for name in ("line1", "line2", "city"):
        address.text(name)
    country, postal_code, state = (address.text(name) for name in ("country", "postalCode", "state"))
    if country and country not in _COUNTRIES:
        address.refuse_value("country")
    pattern = _POSTAL_CODES.get(country or "")
    if postal_code and pattern is not None and not pattern.fullmatch(postal_code):
        address.refuse_value("postalCode")
    if state and country in _WITH_STATES and f"{country}-{state.upper()}" not in _SUBDIVISIONS:
        address.refuse_value("state")


def _read_certificate(world: World, form: Form) -> Json | None:
    """US only; the dates come back as midnights (docs sample)."""
    certificate = form.nested("taxCertificate", _CERTIFICATE)
    if certificate is None:
        return None
    certificate.require(*_CERTIFICATE)
    certificate.text("companyName")
    authority, file_id = certificate.text("taxAuthority"), certificate.text("fileId")
    if authority and f"US-{authority}" not in _SUBDIVISIONS:
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
    return JSONResponse(show_customer(world, get_stored(world, request.path_params["id"])))


async def update_customer(request: Request) -> Response:
    """What is named is replaced, metadata is merged, the rest stays."""
    world = world_of(request)
    customer = get_stored(world, request.path_params["id"])
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
    customer = get_stored(world, request.path_params["id"])
    for source in attached(world.ledger.sources, customer):
        source["state"] = "cancelled"
        del source["customerId"]
    for tax_identifier in attached(world.ledger.tax_identifiers, customer):
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
