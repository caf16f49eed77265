"""Lists, saves and removes a buyer's payment methods, and sets the default.

The browser only names a source. Its owner and its state come from Digital River. The changes of one customer
run one after the other, so that no change works on an outdated list.
"""

from contextlib import suppress
from dataclasses import dataclass

from app.db.leases import Leases, customer_lease
from app.digital_river.api import customers
from app.digital_river.api.pagination import Entries
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import ConflictingState, Missing, Refused
from app.digital_river.models import Customer, CustomerChanges, Source
from app.ids import CustomerId, SourceId
from app.web.problems import Invalid, NotFound

CHARGEABLE = "chargeable"

_SOURCE_ID_POINTER = "/sourceId"
# The same text if the source does not exist and if it is another customer's: the answers must not differ.
_UNKNOWN = "No payment method with this id is known. Please enter your payment details again."
_UNUSABLE = "This payment method cannot be used, or cannot be used any more. Please enter it again."
_NOT_SAVABLE = "This payment method cannot be saved for later purchases."
# Digital River docs, Sources. Every other code means that this customer cannot save the source.
_DETAIL_BY_CODE = {"nonreusable_source": _NOT_SAVABLE, "source_not_chargeable": _UNUSABLE}


@dataclass(frozen=True, slots=True)
class SavedSource:
    """A source that is saved with a customer."""

    source: Source
    is_default: bool


async def list_sources(client: DigitalRiverClient, customer_id: CustomerId) -> Entries[SavedSource]:
    """The customer's saved sources, in Digital River's order. Empty if Digital River has no such customer.

    Raises:
        DigitalRiverError: Digital River did not answer with a customer.
    """
    customer = await customers.find_customer(client, customer_id)
    if customer is None:
        return Entries()
    saved = (_saved_source(customer, source) for source in customer.sources)
    return Entries(saved, unreadable=customer.unreadable("sources"))


async def save_source(
    client: DigitalRiverClient,
    leases: Leases,
    customer_id: CustomerId,
    source_id: SourceId,
    *,
    make_default: bool,
) -> tuple[SavedSource, bool]:
    """Save a source that Drop-in made. Returns it, and whether it is new: saving it again changes nothing.

    If setting the default fails, the source stays saved. A repeated call then sets the default.

    Raises:
        Invalid: at `/sourceId`: the source does not exist, is another customer's, is not chargeable, or
            cannot be saved.
        DigitalRiverError, LeaseBusy: the source may or may not be saved. The caller may repeat the call.
    """
    async with leases.hold(customer_lease(customer_id)):
        source = await _fetch_usable_source(client, customer_id, source_id)
        customer = await customers.ensure_customer(client, customer_id)
        is_new = _find_saved_source(customer, source_id) is None
        if is_new:
            source = await _attach_source(client, customer_id, source_id)
            # Read again, because Digital River makes the first source the default (docs, Sources).
            customer = await customers.fetch_customer(client, customer_id)
        if make_default:
            customer = await _ensure_default(client, customer, customer_id, source_id)
        return _saved_source(customer, source), is_new


async def set_default_source(
    client: DigitalRiverClient, leases: Leases, customer_id: CustomerId, source_id: SourceId
) -> SavedSource:
    """Make a saved source the default.

    Raises:
        Invalid: at `/sourceId`: it is not saved with this customer, or Digital River does not accept it.
        DigitalRiverError, LeaseBusy: it may or may not be the default. The caller may repeat the call.
    """
    async with leases.hold(customer_lease(customer_id)):
        customer = await customers.find_customer(client, customer_id)
        source = None if customer is None else _find_saved_source(customer, source_id)
        if customer is None or source is None:
            raise Invalid.at(_SOURCE_ID_POINTER, _UNKNOWN)
        customer = await _ensure_default(client, customer, customer_id, source_id)
        return _saved_source(customer, source)


async def delete_source(
    client: DigitalRiverClient, leases: Leases, customer_id: CustomerId, source_id: SourceId
) -> None:
    """Remove a saved source for good. To use it again, the buyer must enter it again.

    Digital River chooses the next default, by a rule that it does not document.

    Raises:
        NotFound: it is not saved with this customer.
        DigitalRiverError, LeaseBusy: it may or may not be removed. ConflictingState: Digital River refuses.
    """
    async with leases.hold(customer_lease(customer_id)):
        customer = await customers.find_customer(client, customer_id)
        if customer is None or _find_saved_source(customer, source_id) is None:
            raise NotFound()
        # The source was in the list just now: if it is missing, a repeated request has removed it.
        with suppress(Missing):
            await customers.detach_source(client, customer_id, source_id)


async def _fetch_usable_source(
    client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId
) -> Source:
    try:
        source = await customers.fetch_source(client, source_id)
    except (Missing, Refused):
        raise Invalid.at(_SOURCE_ID_POINTER, _UNKNOWN) from None
    if _customer_id_of(source) not in {None, customer_id}:
        raise Invalid.at(_SOURCE_ID_POINTER, _UNKNOWN)
    # A saved source is returned in any state. For another one, this saves a call that would fail.
    if source.customer_id is None and source.state != CHARGEABLE:
        raise Invalid.at(_SOURCE_ID_POINTER, _UNUSABLE)
    return source


def _customer_id_of(source: Source) -> str | None:
    """The customer with whom the source is saved, or else the owner that the browser named."""
    return source.customer_id or (source.owner.customer_id if source.owner else None)


async def _attach_source(client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId) -> Source:
    try:
        return await customers.attach_source(client, customer_id, source_id)
    except ConflictingState as error:
        # The source has changed since it was read, or cannot be saved, which only this answer shows.
        detail = next((_DETAIL_BY_CODE[code] for code in error.codes if code in _DETAIL_BY_CODE), _UNKNOWN)
        raise Invalid.at(_SOURCE_ID_POINTER, detail) from None
    except (Missing, Refused):
        raise Invalid.at(_SOURCE_ID_POINTER, _UNKNOWN) from None


async def _ensure_default(
    client: DigitalRiverClient, customer: Customer, customer_id: CustomerId, source_id: SourceId
) -> Customer:
    if customer.default_source_id == source_id:
        return customer
    changes = CustomerChanges(default_source_id=source_id)
    try:
        return await customers.update_customer(client, customer_id, changes)
    except (ConflictingState, Missing, Refused):
        # Digital River does not document this answer. In every case the source cannot be the default.
        raise Invalid.at(_SOURCE_ID_POINTER, _UNUSABLE) from None


def _find_saved_source(customer: Customer, source_id: SourceId) -> Source | None:
    return next((source for source in customer.sources if source.id == source_id), None)


def _saved_source(customer: Customer, source: Source) -> SavedSource:
    return SavedSource(source, customer.default_source_id == source.id)
