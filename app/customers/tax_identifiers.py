"""One tax identifier per type, exchanged so that the buyer is never left without either.

Digital River docs, Tax identifiers: an identifier cannot be changed, a customer has one per type, and the old
one must be deleted before another of its type is attached. So the new one is made first, which checks its
form while the old one is untouched, and is offered at once: only a far side that is well and insists on its
rule makes us delete the old one. If attaching then fails although it is tried again, the old one is made
anew.

A process that dies between deleting and attaching leaves the buyer without one. So does a far side that fails
for good in just that moment; that is logged as `tax_identifier.lost`. Sending the same request again repairs
both.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import structlog

from app.customers import refusals
from app.customers.tax_schemas import NewTaxIdentifier
from app.digital_river import customers
from app.digital_river import tax_identifiers as far_side
from app.digital_river.errors import (
    Conflict,
    DigitalRiverError,
    Missing,
    Refused,
    Throttled,
    Unavailable,
)
from app.digital_river.models import TaxIdentifier
from app.digital_river.transport import Transport
from app.ids import CustomerId, TaxIdentifierId
from app.resources import Resources
from app.web.problems import NotFound
from app.web.problems import Unavailable as Later

LEASE_SECONDS = 100.0
# What may pass before the old one is touched, so that the lease does not run out in the middle.
PREPARATION_SECONDS = 35.0
PATIENCE_SECONDS = 15.0
PAUSES = (0.2, 1.0)

log = structlog.get_logger()


async def list_identifiers(far: Transport, customer_id: CustomerId) -> list[TaxIdentifier]:
    """The customer's identifiers, newest first; none for a customer that does not exist."""
    found = await far_side.fetch_tax_identifiers(far, customer_id)
    # A far side that ignored the filter would answer with everybody's.
    return [one for one in found if one.customer_id in (None, customer_id)]


async def add(
    resources: Resources, customer_id: CustomerId, new: NewTaxIdentifier
) -> tuple[TaxIdentifier, bool]:
    """The identifier, attached, and whether it is new; an older one of its type is gone then.

    Raises:
        Invalid: its form is wrong, or its type unknown; nothing has changed.
        DigitalRiverError: it could not be attached; the older one is there as before, or anew.
        Later: the same, or neither is there, which its detail says.
    """
    far = resources.far
    async with _turn(resources, customer_id):
        async with asyncio.timeout(PREPARATION_SECONDS):
            await customers.ensure_customer(far, customer_id)
            present = [one for one in await list_identifiers(far, customer_id) if one.type == new.type]
            for one in present:
                if _plain(one.value) == _plain(new.value):
                    return one, False
            fresh = await _create(far, new)
        return await _offer(far, customer_id, fresh, present), True


async def remove(resources: Resources, customer_id: CustomerId, tax_identifier_id: TaxIdentifierId) -> None:
    """Delete one of the customer's identifiers.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    async with _turn(resources, customer_id):
        try:
            found = await far_side.fetch_tax_identifier(resources.far, tax_identifier_id)
        except Missing:
            raise NotFound from None
        if found.customer_id != customer_id:
            raise NotFound
        with suppress(Missing):
            await far_side.delete_tax_identifier(resources.far, tax_identifier_id)


@asynccontextmanager
async def _turn(resources: Resources, customer_id: CustomerId) -> AsyncIterator[None]:
    name = f"tax-identifiers:{customer_id}"
    async with resources.leases.hold(name, seconds=LEASE_SECONDS, patience=PATIENCE_SECONDS):
        yield


async def _create(far: Transport, new: NewTaxIdentifier) -> TaxIdentifier:
    try:
        return await far_side.create_tax_identifier(far, type_=new.type, value=new.value)
    except Refused as refused:
        raise refusals.told(refused) from None


async def _offer(
    far: Transport, customer_id: CustomerId, fresh: TaxIdentifier, present: Sequence[TaxIdentifier]
) -> TaxIdentifier:
    try:
        attached = await far_side.attach_tax_identifier(far, customer_id, TaxIdentifierId(fresh.id))
    except DigitalRiverError as error:
        if present and isinstance(error, Conflict):
            return await _exchange(far, customer_id, fresh, present)
        await _discard(far, fresh)
        raise
    for old in present:
        await _discard(far, old)
    return attached


async def _exchange(
    far: Transport, customer_id: CustomerId, fresh: TaxIdentifier, present: Sequence[TaxIdentifier]
) -> TaxIdentifier:
    failure: DigitalRiverError | None = None
    try:
        for old in present:
            with suppress(Missing):
                await far_side.delete_tax_identifier(far, TaxIdentifierId(old.id))
    except DigitalRiverError as error:
        # It may be gone all the same. Whether the new one can be attached tells.
        failure = error
    try:
        return await _attach(far, customer_id, fresh)
    except DigitalRiverError as error:
        await _discard(far, fresh)
        are_back = [await _put_back(far, customer_id, old) for old in present]
        if not all(are_back):
            raise Later(
                "Your tax identifier could not be replaced and is not saved now. Send it again."
            ) from None
        if failure is None and isinstance(error, Conflict):
            # Deleted, and yet in the way.
            raise Later("Your tax identifier could not be replaced now.") from None
        raise failure or error from None


async def _attach(far: Transport, customer_id: CustomerId, fresh: TaxIdentifier) -> TaxIdentifier:
    """Attach, and try again: at this moment the buyer has none, or the deletion takes its time."""
    for pause in (*PAUSES, None):
        try:
            return await far_side.attach_tax_identifier(far, customer_id, TaxIdentifierId(fresh.id))
        except DigitalRiverError as error:
            found = await _find(far, fresh)
            if found is not None and found.customer_id == customer_id:
                return found
            if pause is None or not isinstance(error, Unavailable | Throttled | Conflict):
                raise
            await asyncio.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


async def _put_back(far: Transport, customer_id: CustomerId, old: TaxIdentifier) -> bool:
    """Make the old one anew if it is gone; its verification begins again. False when that fails too."""
    if await _find(far, old) is not None:
        return True
    try:
        again = await far_side.create_tax_identifier(far, type_=old.type or "", value=old.value or "")
        try:
            await _attach(far, customer_id, again)
        except Conflict:
            # One of this type is there after all: it only could not be seen.
            await _discard(far, again)
    except DigitalRiverError as error:
        log.error("tax_identifier.lost", type=old.type, error=type(error).__name__)
        return False
    return True


async def _find(far: Transport, wanted: TaxIdentifier) -> TaxIdentifier | None:
    with suppress(DigitalRiverError):
        return await far_side.fetch_tax_identifier(far, TaxIdentifierId(wanted.id))
    return None


async def _discard(far: Transport, unwanted: TaxIdentifier) -> None:
    """Delete what is of no use any more. One that stays behind belongs to nobody and harms nobody."""
    with suppress(DigitalRiverError):
        await far_side.delete_tax_identifier(far, TaxIdentifierId(unwanted.id))


def _plain(value: str | None) -> str:
    return "".join((value or "").split()).upper()
