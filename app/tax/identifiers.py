"""One tax identifier per type, exchanged so that the buyer is never left without either.

Digital River docs, Tax identifiers: an identifier cannot be changed, a customer has one per type, and the old
one must be deleted before another of its type is attached. So the new one is made first, which checks its
form while the old one is untouched, and is offered at once: only a far side that is well and insists on its
rule makes us delete the old one.

What happens then is on record before it begins. Whatever breaks it off, be it the end of the process or a far
side that fails just then, the customer's next request or the worker carries it through: from the start,
because each step may be repeated. Until that is done, nobody is shown that there is neither.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog

from app.db.engine import AsyncEngine
from app.db.leases import LEASE_SECONDS
from app.digital_river.api import customers
from app.digital_river.api import tax_identifiers as far_side
from app.digital_river.api.pagination import Entries
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.retries import retry
from app.digital_river.errors import (
    ConflictingState,
    DigitalRiverError,
    Missing,
    Refused,
    Throttled,
    Unavailable,
)
from app.digital_river.models import TaxIdentifier
from app.ids import CustomerId, TaxIdentifierId
from app.resources import Resources
from app.tax import store
from app.tax.schemas import NewTaxIdentifier
from app.tax.store import Replacement
from app.web.field_errors import invalid_fields
from app.web.problems import NotFound
from app.web.problems import ServiceUnavailable as Later

RETRY_PAUSES = (0.2, 1.0)

log = structlog.get_logger()


async def list_identifiers(resources: Resources, customer_id: CustomerId) -> Entries[TaxIdentifier]:
    """The customer's identifiers, newest first; none for a customer that does not exist.

    Raises:
        DigitalRiverError, LeaseBusy: also when one is being replaced, and that does not come to its end.
    """
    if await _list_replacements(resources.engine, customer_id):
        async with _exclusive_access(resources, customer_id):
            pass
    return await _fetch_identifiers(resources.digital_river, customer_id)


async def add_identifier(
    resources: Resources, customer_id: CustomerId, new: NewTaxIdentifier
) -> tuple[TaxIdentifier, bool]:
    """The identifier, attached, and whether it is new; an older one of its type is gone then.

    Raises:
        Invalid: its form is wrong, or its type unknown; nothing has changed.
        Later: it cannot be attached; the older one is there as before, or anew.
        DigitalRiverError: the older one is there as before, or the new one takes its place later.
    """
    client = resources.digital_river
    async with _exclusive_access(resources, customer_id):
        await customers.ensure_customer(client, customer_id)
        present = await _fetch_identifiers(client, customer_id, new.type)
        for one in present:
            if _normalise(one.value) == _normalise(new.value):
                return one, False
        fresh = await _create_identifier(client, new)
        try:
            attached = await far_side.attach_tax_identifier(client, customer_id, TaxIdentifierId(fresh.id))
        except DigitalRiverError as error:
            if present and isinstance(error, ConflictingState):
                return await _replace_identifier(resources, customer_id, fresh, present[0]), True
            await _delete_unused(client, fresh.id)
            raise
        for old in present:
            await _delete_unused(client, old.id)
        return attached, True


async def delete_identifier(
    resources: Resources, customer_id: CustomerId, tax_identifier_id: TaxIdentifierId
) -> None:
    """Delete one of the customer's identifiers.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    async with _exclusive_access(resources, customer_id):
        try:
            found = await far_side.fetch_tax_identifier(resources.digital_river, tax_identifier_id)
        except Missing:
            raise NotFound from None
        if found.customer_id != customer_id:
            raise NotFound
        with suppress(Missing):
            await far_side.delete_tax_identifier(resources.digital_river, tax_identifier_id)


async def finish_replacements(resources: Resources) -> None:
    """Carry through what was broken off. Customers with somebody at work are left to them."""
    async with resources.engine.connect() as connection:
        waiting = await store.list_customers_with_replacements(connection)
    for customer_id in waiting:
        lease = _lease(customer_id)
        async with resources.leases.hold_if_free(lease, seconds=LEASE_SECONDS) as held:
            if held is None:
                continue
            try:
                await _finish_replacements_of(resources, customer_id)
            except DigitalRiverError as error:
                # One that cannot be finished must not stand in the way of the others.
                log.warning("tax_identifier.replacement_unfinished", error=type(error).__name__)


@asynccontextmanager
async def _exclusive_access(resources: Resources, customer_id: CustomerId) -> AsyncIterator[None]:
    """One at a time for each customer, and nobody before what was broken off has been carried through."""
    async with resources.leases.hold(_lease(customer_id)):
        await _finish_replacements_of(resources, customer_id)
        yield


def _lease(customer_id: CustomerId) -> str:
    return f"tax-identifiers:{customer_id}"


async def _finish_replacements_of(resources: Resources, customer_id: CustomerId) -> None:
    for replacement in await _list_replacements(resources.engine, customer_id):
        await _finish_replacement(resources, replacement)


async def _list_replacements(engine: AsyncEngine, customer_id: CustomerId) -> Sequence[Replacement]:
    async with engine.connect() as connection:
        return await store.list_replacements(connection, customer_id)


async def _replace_identifier(
    resources: Resources, customer_id: CustomerId, fresh: TaxIdentifier, old: TaxIdentifier
) -> TaxIdentifier:
    replacement = Replacement(TaxIdentifierId(fresh.id), customer_id, old.type or "", old.value or "")
    async with resources.engine.begin() as connection:
        await store.insert_replacement(connection, replacement)
    attached = await _finish_replacement(resources, replacement)
    if attached is None:
        raise Later("Your tax identifier could not be replaced now. See which one is saved, and try again.")
    return attached


async def _finish_replacement(resources: Resources, replacement: Replacement) -> TaxIdentifier | None:
    """The new one, attached in place of whatever there is; None when it cannot be, and the old one stays.

    Raises:
        DigitalRiverError: neither is certain yet; the replacement stays on record.
    """
    client = resources.digital_river
    attached: TaxIdentifier | None = None
    try:
        for one in await _fetch_identifiers(client, replacement.customer_id, replacement.type):
            if one.id != replacement.new_id:
                # Whether it is gone shows when the new one is attached.
                await _delete_unused(client, one.id)
        attached = await _attach_with_retries(client, replacement.customer_id, replacement.new_id)
    except (Refused, Missing, ConflictingState):
        await _restore_old_identifier(client, replacement)
    async with resources.engine.begin() as connection:
        await store.delete_replacement(connection, replacement.new_id)
    if attached is None:
        await _delete_unused(client, replacement.new_id)
    return attached


async def _attach_with_retries(
    client: DigitalRiverClient, customer_id: CustomerId, identifier: TaxIdentifierId
) -> TaxIdentifier:
    """Attach, and try again: at this moment the buyer has none, or the deletion takes its time."""
    attach = partial(_attach_or_find, client, customer_id, identifier)
    return await retry(attach, pause=_pause)


async def _attach_or_find(
    client: DigitalRiverClient, customer_id: CustomerId, identifier: TaxIdentifierId
) -> TaxIdentifier:
    try:
        return await far_side.attach_tax_identifier(client, customer_id, identifier)
    except DigitalRiverError:
        with suppress(DigitalRiverError):
            found = await far_side.fetch_tax_identifier(client, identifier)
            if found.customer_id == customer_id:
                return found
        raise


def _pause(attempts: int, error: DigitalRiverError) -> float | None:
    if attempts > len(RETRY_PAUSES) or not isinstance(error, Unavailable | Throttled | ConflictingState):
        return None
    return RETRY_PAUSES[attempts - 1]


async def _restore_old_identifier(client: DigitalRiverClient, replacement: Replacement) -> None:
    """Make the old one anew unless one of its type is there; its verification begins again."""
    customer_id = replacement.customer_id
    present = await _fetch_identifiers(client, customer_id, replacement.type)
    if any(one.id != replacement.new_id for one in present):
        return
    try:
        again = await far_side.create_tax_identifier(
            client, type_=replacement.type, value=replacement.old_value
        )
        try:
            await _attach_with_retries(client, customer_id, TaxIdentifierId(again.id))
        except DigitalRiverError:
            await _delete_unused(client, again.id)
            raise
    except ConflictingState:
        # One of this type is there after all: it only could not be seen.
        pass
    except (Refused, Missing) as error:
        # What Digital River once took it does not take any more: no repetition would help.
        log.error("tax_identifier.lost", type=replacement.type, error=type(error).__name__)


async def _create_identifier(client: DigitalRiverClient, new: NewTaxIdentifier) -> TaxIdentifier:
    try:
        return await far_side.create_tax_identifier(client, type_=new.type, value=new.value)
    except Refused as refused:
        raise invalid_fields(refused) from None


async def _fetch_identifiers(
    client: DigitalRiverClient, customer_id: CustomerId, type_: str | None = None
) -> Entries[TaxIdentifier]:
    found = await far_side.fetch_tax_identifiers(client, customer_id)
    return Entries((one for one in found if type_ in (None, one.type)), unreadable=found.unreadable)


async def _delete_unused(client: DigitalRiverClient, unwanted: str) -> None:
    """Delete what is of no use any more. One that stays behind belongs to nobody and harms nobody."""
    with suppress(DigitalRiverError):
        await far_side.delete_tax_identifier(client, TaxIdentifierId(unwanted))


def _normalise(value: str | None) -> str:
    return "".join((value or "").split()).upper()
