"""What a buyer may do with profile and shipping address; each writer sees what the one before has written.

Digital River knows no versions. Between our own callers no update is lost, because they take turns per
customer; a change that somebody makes at Digital River directly can slip between our check and our write.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.customers.addresses import ShippingAddress, ShippingAddressView, blank_address
from app.customers.schemas import MAX_METADATA_ENTRIES, ProfileChanges, ProfileView, Registration
from app.db.leases import customer_lease
from app.digital_river.api import customers
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import ConflictingState, Missing, Refused
from app.digital_river.models import Customer, CustomerChanges
from app.ids import CustomerId
from app.resources import Resources
from app.web.field_errors import invalid_fields
from app.web.problems import BadGateway, Invalid, NotFound

Json = dict[str, Any]


async def register(
    client: DigitalRiverClient, customer_id: CustomerId, registration: Registration
) -> tuple[Customer, bool]:
    """The customer and whether this call made it; one that exists is returned as it is.

    Raises:
        Invalid: Digital River does not accept a value.
    """
    values = registration.model_dump(mode="json", by_alias=True, exclude={"shipping", "metadata"})
    values["shipping"] = registration.shipping.to_digital_river() if registration.shipping else None
    values["metadata"] = {
        name: value for name, value in registration.metadata.items() if not _is_removal(value)
    }
    changes = CustomerChanges.model_validate({name: value for name, value in values.items() if value})
    try:
        return await customers.create_customer(client, customer_id, changes), True
    except ConflictingState:
        return await customers.fetch_customer(client, customer_id), False
    except Refused as refused:
        raise invalid_fields(refused) from None


async def get_customer(client: DigitalRiverClient, customer_id: CustomerId, *, is_own: bool) -> Customer:
    """The customer; a buyer's own is created on first need, nobody else's is.

    Raises:
        NotFound: support asks for one that does not exist.
    """
    if is_own:
        return await customers.ensure_customer(client, customer_id)
    try:
        return await customers.fetch_customer(client, customer_id)
    except Missing:
        raise NotFound from None


async def get_shipping_address(client: DigitalRiverClient, customer_id: CustomerId) -> ShippingAddressView:
    """The default shipping address.

    Raises:
        NotFound: there is none.
    """
    try:
        customer = await customers.fetch_customer(client, customer_id)
    except Missing:
        raise NotFound from None
    address = ShippingAddressView.of(customer.shipping)
    if address is None:
        raise NotFound
    return address


async def change_profile(
    resources: Resources,
    customer_id: CustomerId,
    changes: ProfileChanges,
    check: Callable[[ProfileView], None],
) -> Customer:
    """The changed customer, if `check` lets the present one be changed.

    Raises:
        RequestValidationError, Invalid: the result would not be acceptable.
        Whatever `check` raises.
    """
    async with resources.leases.hold(customer_lease(customer_id)):
        customer = await customers.ensure_customer(resources.digital_river, customer_id)
        check(ProfileView.of(customer))
        written = _requested_changes(customer, changes)
        if not written.model_fields_set:
            return customer
        return await _update_customer(resources.digital_river, customer_id, written, below="")


async def put_shipping_address(
    resources: Resources,
    customer_id: CustomerId,
    address: ShippingAddress,
    check: Callable[[ShippingAddressView | None], None],
) -> tuple[Customer, bool]:
    """The customer with this address, and whether it is the first one; if `check` lets it be written.

    Raises:
        Invalid: Digital River does not accept a value.
        Whatever `check` raises.
    """
    async with resources.leases.hold(customer_lease(customer_id)):
        customer = await customers.ensure_customer(resources.digital_river, customer_id)
        present = ShippingAddressView.of(customer.shipping)
        check(present)
        written = CustomerChanges(shipping=address.to_digital_river())
        changed = await _update_customer(resources.digital_river, customer_id, written, below="shipping")
        return changed, present is None


async def delete_shipping_address(
    resources: Resources, customer_id: CustomerId, check: Callable[[ShippingAddressView], None]
) -> None:
    """Erase the default shipping address, if `check` lets the present one be deleted.

    Raises:
        NotFound: there is none.
        Whatever `check` raises.
    """
    async with resources.leases.hold(customer_lease(customer_id)):
        present = await get_shipping_address(resources.digital_river, customer_id)
        check(present)
        written = CustomerChanges(shipping=blank_address(present.address.country))
        await _update_customer(resources.digital_river, customer_id, written, below="shipping")


async def _update_customer(
    client: DigitalRiverClient, customer_id: CustomerId, written: CustomerChanges, *, below: str
) -> Customer:
    try:
        changed = await customers.update_customer(client, customer_id, written)
    except Refused as refused:
        raise invalid_fields(refused, below=below) from None
    # No document says how nested members are replaced: what was to go must be gone, or it was not done.
    is_removal = written.shipping is not None and "line1" not in written.shipping["address"]
    if is_removal and ShippingAddressView.of(changed.shipping) is not None:
        raise BadGateway("The address could not be removed.")
    return changed


def _requested_changes(customer: Customer, changes: ProfileChanges) -> CustomerChanges:
    """The patch in Digital River's words: shipping as a whole, removed metadata as empty text."""
    given = changes.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if "shipping" in given:
        given["shipping"] = _merge_shipping(ShippingAddressView.of(customer.shipping), given["shipping"])
    if "metadata" in given:
        given["metadata"] = _merge_metadata(customer.metadata, given["metadata"])
    return CustomerChanges.model_validate({name: value for name, value in given.items() if value})


def _merge_shipping(present: ShippingAddressView | None, patch: Json | None) -> Json | None:
    if patch is None:
        return None if present is None else blank_address(present.address.country)
    known = {} if present is None else present.model_dump(mode="json", exclude_none=True)
    merged = _merge_patch(known, patch)
    try:
        return ShippingAddress.model_validate(merged).to_digital_river()
    except ValidationError as error:
        places = [{**one, "loc": ("body", "shipping", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(places, body={"shipping": merged}) from None


def _merge_metadata(present: Mapping[str, object], patch: Json | None) -> Json:
    """Digital River merges by itself, and removes what is set to "" (docs, Metadata)."""
    changes = dict.fromkeys(present) if patch is None else patch
    written = {
        name: "" if _is_removal(value) else value
        for name, value in changes.items()
        if name in present or not _is_removal(value)
    }
    if sum(not _is_removal(value) for value in {**present, **written}.values()) > MAX_METADATA_ENTRIES:
        raise Invalid.at("/metadata", f"At most {MAX_METADATA_ENTRIES} entries are possible.")
    return written


def _is_removal(value: object) -> bool:
    # Not `in`: 0 and False are values.
    return value is None or value == ""


def _merge_patch(target: object, patch: Mapping[str, object]) -> Json:
    """RFC 7396."""
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge_patch(result.get(name), value) if isinstance(value, Mapping) else value
    return result
