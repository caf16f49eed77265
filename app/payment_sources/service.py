"""What a buyer may do with saved payment methods: see them, save one, choose the default, remove one.

The browser only ever names a source; whose it is and whether it is usable is read from Digital River. Changes
of one customer run one after the other, so that a default is never chosen on an outdated list.
"""

from contextlib import suppress
from dataclasses import dataclass

from app.db.leases import customer_lease
from app.digital_river.api import customers
from app.digital_river.api.pagination import Entries
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.errors import ConflictingState, Missing, Refused
from app.digital_river.models import Customer, CustomerChanges, Source
from app.ids import CustomerId, SourceId
from app.resources import Resources
from app.web.problems import Invalid, NotFound

CHARGEABLE = "chargeable"

_SOURCE_ID_POINTER = "/sourceId"
# One text for what does not exist and for what is somebody else's: the answers must not differ.
_UNKNOWN = "No payment method with this id is known. Please enter your payment details again."
_UNUSABLE = "This payment method cannot be used, or cannot be used any more. Please enter it again."
_NOT_SAVABLE = "This payment method cannot be saved for later purchases."
# Digital River docs, Sources; any other code means that the source is not this customer's to save.
_DETAIL_BY_CODE = {"nonreusable_source": _NOT_SAVABLE, "source_not_chargeable": _UNUSABLE}


@dataclass(frozen=True, slots=True)
class SavedSource:
    """A source saved with a customer."""

    source: Source
    is_default: bool


async def list_sources(client: DigitalRiverClient, customer_id: CustomerId) -> Entries[SavedSource]:
    """Everything saved, in Digital River's order; nothing for somebody Digital River does not know yet.

    Raises:
        DigitalRiverError: Digital River could not be asked.
    """
    customer = await customers.find_customer(client, customer_id)
    if customer is None:
        return Entries()
    saved = (_saved_source(customer, source) for source in customer.sources)
    return Entries(saved, unreadable=customer.unreadable("sources"))


async def save_source(
    resources: Resources, customer_id: CustomerId, source_id: SourceId, *, make_default: bool
) -> tuple[SavedSource, bool]:
    """Save a source that Drop-in made, and say whether that is new. The same again changes nothing.

    A failure between saving and choosing the default leaves it saved: asking again completes the rest.

    Raises:
        Invalid: at `/sourceId`: there is none, it is somebody else's, not chargeable, or not for saving.
        DigitalRiverError, LeaseBusy: it may or may not be saved; asking again is safe.
    """
    client = resources.digital_river
    async with resources.leases.hold(customer_lease(customer_id)):
        source = await _fetch_usable_source(client, customer_id, source_id)
        customer = await customers.ensure_customer(client, customer_id)
        is_new = _find_saved_source(customer, source_id) is None
        if is_new:
            source = await _attach_source(client, customer_id, source_id)
            # Read again, because Digital River makes the first one the default by itself (docs, Sources).
            customer = await customers.fetch_customer(client, customer_id)
        if make_default:
            customer = await _ensure_default(client, customer, customer_id, source_id)
        return _saved_source(customer, source), is_new


async def set_default_source(
    resources: Resources, customer_id: CustomerId, source_id: SourceId
) -> SavedSource:
    """Make a saved source the default.

    Raises:
        Invalid: at `/sourceId`: it is not saved with this customer, or Digital River does not accept it.
        DigitalRiverError, LeaseBusy: it may or may not be the default; asking again is safe.
    """
    async with resources.leases.hold(customer_lease(customer_id)):
        customer = await customers.find_customer(resources.digital_river, customer_id)
        source = None if customer is None else _find_saved_source(customer, source_id)
        if customer is None or source is None:
            raise Invalid.at(_SOURCE_ID_POINTER, _UNKNOWN)
        customer = await _ensure_default(resources.digital_river, customer, customer_id, source_id)
        return _saved_source(customer, source)


async def remove_source(resources: Resources, customer_id: CustomerId, source_id: SourceId) -> None:
    """Remove a saved source for good: to have it back, the buyer enters it again.

    What becomes of the default is for Digital River to decide, and not documented: the next list shows it.

    Raises:
        NotFound: it is not saved with this customer.
        Conflict, DigitalRiverError, LeaseBusy: it could not be removed.
    """
    async with resources.leases.hold(customer_lease(customer_id)):
        customer = await customers.find_customer(resources.digital_river, customer_id)
        if customer is None or _find_saved_source(customer, source_id) is None:
            raise NotFound()
        # It was there a moment ago: a repeated call finds its own work done.
        with suppress(Missing):
            await customers.detach_source(resources.digital_river, customer_id, source_id)


async def _fetch_usable_source(
    client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId
) -> Source:
    try:
        source = await customers.fetch_source(client, source_id)
    except (Missing, Refused):
        raise Invalid.at(_SOURCE_ID_POINTER, _UNKNOWN) from None
    holder = _customer_id_of(source)
    if holder not in {None, customer_id}:
        raise Invalid.at(_SOURCE_ID_POINTER, _UNKNOWN)
    # A saved one is answered whatever its state; for one that is not, this spares a call that would fail.
    if source.customer_id is None and source.state != CHARGEABLE:
        raise Invalid.at(_SOURCE_ID_POINTER, _UNUSABLE)
    return source


def _customer_id_of(source: Source) -> str | None:
    """Whom the source is saved with, or else whom the page that made it names as its owner."""
    return source.customer_id or (source.owner.customer_id if source.owner else None)


async def _attach_source(client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId) -> Source:
    try:
        return await customers.attach_source(client, customer_id, source_id)
    except ConflictingState as error:
        # It has changed since it was read, or cannot be saved, which only this answer tells.
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
        # The documents do not print this answer: whichever it is, this source cannot be the default.
        raise Invalid.at(_SOURCE_ID_POINTER, _UNUSABLE) from None


def _find_saved_source(customer: Customer, source_id: SourceId) -> Source | None:
    return next((source for source in customer.sources if source.id == source_id), None)


def _saved_source(customer: Customer, source: Source) -> SavedSource:
    return SavedSource(source, customer.default_source_id == source.id)
