"""Reads and changes a buyer's profile and shipping address, without lost updates between our own callers.

Digital River has no versions, so our writers hold a lease of the customer while they check and write. A
change that an operator makes at Digital River directly can still come between our check and our write.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app.customers.addresses import ShippingAddress, ShippingAddressView, blank_address
from app.customers.schemas import MAX_METADATA_ENTRIES, ProfileChanges, ProfileView, Registration
from app.db.leases import Leases, customer_lease
from app.digital_river.api import customers
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import ConflictingState, Missing, Refused
from app.digital_river.models import Customer, CustomerChanges
from app.ids import CustomerId
from app.web.problems import BadGateway, Invalid, NotFound
from app.web.validation import invalid_fields

Json = dict[str, Any]


async def register(
    client: DigitalRiverClient, customer_id: CustomerId, registration: Registration
) -> tuple[Customer, bool]:
    """The customer, and whether this call created it. A customer that exists is returned unchanged.

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
    """The customer. If `is_own`, a customer that does not exist is created.

    Raises:
        NotFound: the customer does not exist and is not the caller's own.
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
        NotFound: the customer has no address.
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
    leases: Leases,
    client: DigitalRiverClient,
    customer_id: CustomerId,
    changes: ProfileChanges,
    check: Callable[[ProfileView], None],
) -> Customer:
    """Change the customer, if `check` accepts the current profile; returns the changed customer.

    Raises:
        RequestValidationError, Invalid: the result would not be valid.
        The errors of `check`.
    """
    async with leases.hold(customer_lease(customer_id)):
        customer = await customers.ensure_customer(client, customer_id)
        check(ProfileView.of(customer))
        update = _requested_changes(customer, changes)
        if not update.model_fields_set:
            return customer
        return await _update_customer(client, customer_id, update, root_member="")


async def put_shipping_address(
    leases: Leases,
    client: DigitalRiverClient,
    customer_id: CustomerId,
    address: ShippingAddress,
    check: Callable[[ShippingAddressView | None], None],
) -> tuple[Customer, bool]:
    """Store the address, if `check` accepts the current one (None: there is none).

    Returns the changed customer, and whether there was no address before.

    Raises:
        Invalid: Digital River does not accept a value.
        The errors of `check`.
    """
    async with leases.hold(customer_lease(customer_id)):
        customer = await customers.ensure_customer(client, customer_id)
        current = ShippingAddressView.of(customer.shipping)
        check(current)
        update = CustomerChanges(shipping=address.to_digital_river())
        changed = await _update_customer(client, customer_id, update, root_member="shipping")
        return changed, current is None


async def delete_shipping_address(
    leases: Leases,
    client: DigitalRiverClient,
    customer_id: CustomerId,
    check: Callable[[ShippingAddressView], None],
) -> None:
    """Erase the default shipping address, if `check` accepts the current one.

    Raises:
        NotFound: the customer has no address.
        The errors of `check`.
    """
    async with leases.hold(customer_lease(customer_id)):
        current = await get_shipping_address(client, customer_id)
        check(current)
        update = CustomerChanges(shipping=blank_address(current.address.country))
        await _update_customer(client, customer_id, update, root_member="shipping")


async def _update_customer(
    client: DigitalRiverClient, customer_id: CustomerId, update: CustomerChanges, *, root_member: str
) -> Customer:
    try:
        changed = await customers.update_customer(client, customer_id, update)
    except Refused as refused:
        raise invalid_fields(refused, root_member=root_member) from None
    # Digital River's docs do not say how nested members are replaced, so check that the address is gone.
    is_removal = update.shipping is not None and "line1" not in update.shipping["address"]
    if is_removal and ShippingAddressView.of(changed.shipping) is not None:
        raise BadGateway("The address could not be removed.")
    return changed


def _requested_changes(customer: Customer, changes: ProfileChanges) -> CustomerChanges:
    """The patch as Digital River takes it: shipping as a whole, removed metadata as empty text."""
    values = changes.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if "shipping" in values:
        current = ShippingAddressView.of(customer.shipping)
        values["shipping"] = _merge_shipping(current, values["shipping"])
    if "metadata" in values:
        values["metadata"] = _merge_metadata(customer.metadata, values["metadata"])
    return CustomerChanges.model_validate({name: value for name, value in values.items() if value})


def _merge_shipping(current: ShippingAddressView | None, patch: Json | None) -> Json | None:
    if patch is None:
        return None if current is None else blank_address(current.address.country)
    values = {} if current is None else current.model_dump(mode="json", exclude_none=True)
    merged = _merge_patch(values, patch)
    try:
        return ShippingAddress.model_validate(merged).to_digital_river()
    except ValidationError as error:
        errors = [{**detail, "loc": ("body", "shipping", *detail["loc"])} for detail in error.errors()]
        raise RequestValidationError(errors, body={"shipping": merged}) from None


def _merge_metadata(current: Mapping[str, object], patch: Json | None) -> Json:
    """The entries to send: Digital River merges them, and removes those that are "" (docs, Metadata)."""
    changes = dict.fromkeys(current) if patch is None else patch
    update = {
        name: "" if _is_removal(value) else value
        for name, value in changes.items()
        if name in current or not _is_removal(value)
    }
    if sum(not _is_removal(value) for value in {**current, **update}.values()) > MAX_METADATA_ENTRIES:
        raise Invalid.at("/metadata", f"At most {MAX_METADATA_ENTRIES} entries are possible.")
    return update


def _is_removal(value: object) -> bool:
    # Not `not value`: 0 and False are values.
    return value is None or value == ""


def _merge_patch(target: object, patch: Mapping[str, object]) -> Json:
    """The target with a JSON merge patch (RFC 7396) applied."""
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge_patch(result.get(name), value) if isinstance(value, Mapping) else value
    return result
