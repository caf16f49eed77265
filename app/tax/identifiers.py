"""Adds and replaces tax identifiers, so that a failure never leaves the buyer with none.

Digital River docs, Tax identifiers: an identifier cannot be changed, a customer has one per type, and the old
one must be deleted before another of its type is attached. So we create the new one first, which checks its
form, and try to attach it. Only if Digital River answers with its conflict do we delete the old one.

A replacement is stored before it begins. If the process ends or Digital River fails in the middle of it, the
customer's next request or the worker runs it again from its start: each step may be repeated. Until then no
read answers that the customer has neither.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog

from app.db.engine import AsyncEngine
from app.db.leases import LEASE_SECONDS
from app.digital_river.api import customers
from app.digital_river.api import tax_identifiers as api
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
from app.web.problems import NotFound, ServiceUnavailable
from app.web.validation import invalid_fields

RETRY_PAUSES = (0.2, 1.0)

log = structlog.get_logger()


async def list_identifiers(resources: Resources, customer_id: CustomerId) -> Entries[TaxIdentifier]:
    """The customer's identifiers, newest first; none for a customer that does not exist.

    Raises:
        DigitalRiverError, LeaseBusy: also if an unfinished replacement cannot be finished.
    """
    if await _list_replacements(resources.engine, customer_id):
        async with _exclusive_access(resources, customer_id):
            pass
    return await _fetch_identifiers(resources.digital_river, customer_id)


async def add_identifier(
    resources: Resources, customer_id: CustomerId, new: NewTaxIdentifier
) -> tuple[TaxIdentifier, bool]:
    """Attach the identifier in place of an older one of its type; returns it and whether it is new.

    Raises:
        Invalid: its form is wrong or its type unknown; nothing has changed.
        ServiceUnavailable: it cannot be attached; the old one is there as before, or restored.
        DigitalRiverError: the old one is there as before, or the new one replaces it later.
    """
    client = resources.digital_river
    async with _exclusive_access(resources, customer_id):
        await customers.ensure_customer(client, customer_id)
        existing = await _fetch_identifiers(client, customer_id, new.type)
        for identifier in existing:
            if _normalise(identifier.value) == _normalise(new.value):
                return identifier, False
        created = await _create_identifier(client, new)
        try:
            attached = await api.attach_tax_identifier(client, customer_id, TaxIdentifierId(created.id))
        except DigitalRiverError as error:
            if existing and isinstance(error, ConflictingState):
                replaced = _replace_identifier(resources.engine, client, customer_id, created, existing[0])
                return await replaced, True
            await _delete_unused(client, created.id)
            raise
        for old in existing:
            await _delete_unused(client, old.id)
        return attached, True


async def delete_identifier(
    resources: Resources, customer_id: CustomerId, tax_identifier_id: TaxIdentifierId
) -> None:
    """Delete one of the customer's identifiers.

    Raises:
        NotFound: there is none, or it is another customer's.
    """
    async with _exclusive_access(resources, customer_id):
        try:
            found = await api.fetch_tax_identifier(resources.digital_river, tax_identifier_id)
        except Missing:
            raise NotFound from None
        if found.customer_id != customer_id:
            raise NotFound
        with suppress(Missing):
            await api.delete_tax_identifier(resources.digital_river, tax_identifier_id)


async def finish_replacements(resources: Resources) -> None:
    """Finish the replacements that were interrupted, except those of customers whose lease is held."""
    async with resources.engine.connect() as connection:
        customer_ids = await store.list_customers_with_replacements(connection)
    for customer_id in customer_ids:
        lease = _lease(customer_id)
        async with resources.leases.hold_if_free(lease, seconds=LEASE_SECONDS) as held:
            if held is None:
                continue
            try:
                await _finish_replacements_of(resources.engine, resources.digital_river, customer_id)
            except DigitalRiverError as error:
                # A replacement that cannot be finished must not block those of other customers.
                log.warning("tax_identifier.replacement_unfinished", error=type(error).__name__)


@asynccontextmanager
async def _exclusive_access(resources: Resources, customer_id: CustomerId) -> AsyncIterator[None]:
    """Hold the lease of the customer's identifiers, with every interrupted replacement finished first."""
    async with resources.leases.hold(_lease(customer_id)):
        await _finish_replacements_of(resources.engine, resources.digital_river, customer_id)
        yield


def _lease(customer_id: CustomerId) -> str:
    return f"tax-identifiers:{customer_id}"


async def _finish_replacements_of(
    engine: AsyncEngine, client: DigitalRiverClient, customer_id: CustomerId
) -> None:
    for replacement in await _list_replacements(engine, customer_id):
        await _finish_replacement(engine, client, replacement)


async def _list_replacements(engine: AsyncEngine, customer_id: CustomerId) -> Sequence[Replacement]:
    async with engine.connect() as connection:
        return await store.list_replacements(connection, customer_id)


async def _replace_identifier(
    engine: AsyncEngine,
    client: DigitalRiverClient,
    customer_id: CustomerId,
    new: TaxIdentifier,
    old: TaxIdentifier,
) -> TaxIdentifier:
    replacement = Replacement(TaxIdentifierId(new.id), customer_id, old.type or "", old.value or "")
    async with engine.begin() as connection:
        await store.insert_replacement(connection, replacement)
    attached = await _finish_replacement(engine, client, replacement)
    if attached is None:
        raise ServiceUnavailable(
            "Your tax identifier could not be replaced now. See which one is saved, and try again."
        )
    return attached


async def _finish_replacement(
    engine: AsyncEngine, client: DigitalRiverClient, replacement: Replacement
) -> TaxIdentifier | None:
    """The new one, attached in place of others of its type; None if it is refused and the old one restored.

    Raises:
        DigitalRiverError: neither is certain yet; the replacement stays stored.
    """
    attached: TaxIdentifier | None = None
    try:
        for old in await _fetch_identifiers(client, replacement.customer_id, replacement.type):
            if old.id != replacement.new_id:
                # If the deletion failed, attaching the new one fails too.
                await _delete_unused(client, old.id)
        attached = await _attach_with_retries(client, replacement.customer_id, replacement.new_id)
    except (Refused, Missing, ConflictingState):
        await _restore_old_identifier(client, replacement)
    async with engine.begin() as connection:
        await store.delete_replacement(connection, replacement.new_id)
    if attached is None:
        await _delete_unused(client, replacement.new_id)
    return attached


async def _attach_with_retries(
    client: DigitalRiverClient, customer_id: CustomerId, identifier_id: TaxIdentifierId
) -> TaxIdentifier:
    """Attach the identifier, with retries: the buyer has none now, and a deletion may take effect late."""
    attach = partial(_attach_or_find, client, customer_id, identifier_id)
    return await retry(attach, pause=_pause)


async def _attach_or_find(
    client: DigitalRiverClient, customer_id: CustomerId, identifier_id: TaxIdentifierId
) -> TaxIdentifier:
    try:
        return await api.attach_tax_identifier(client, customer_id, identifier_id)
    except DigitalRiverError:
        with suppress(DigitalRiverError):
            found = await api.fetch_tax_identifier(client, identifier_id)
            if found.customer_id == customer_id:
                return found
        raise


def _pause(attempts: int, error: DigitalRiverError) -> float | None:
    if attempts > len(RETRY_PAUSES) or not isinstance(error, Unavailable | Throttled | ConflictingState):
        return None
    return RETRY_PAUSES[attempts - 1]


async def _restore_old_identifier(client: DigitalRiverClient, replacement: Replacement) -> None:
    """Create the old one again, unless the customer has one of its type. Its verification begins again."""
    customer_id = replacement.customer_id
    existing = await _fetch_identifiers(client, customer_id, replacement.type)
    if any(identifier.id != replacement.new_id for identifier in existing):
        return
    try:
        restored = await api.create_tax_identifier(
            client, type_=replacement.type, value=replacement.old_value
        )
        try:
            await _attach_with_retries(client, customer_id, TaxIdentifierId(restored.id))
        except DigitalRiverError:
            await _delete_unused(client, restored.id)
            raise
    except ConflictingState:
        # The customer has one of this type after all; the list did not show it yet.
        pass
    except (Refused, Missing) as error:
        # Digital River no longer accepts the value that it once accepted: a retry would not help.
        log.error("tax_identifier.lost", type=replacement.type, error=type(error).__name__)


async def _create_identifier(client: DigitalRiverClient, new: NewTaxIdentifier) -> TaxIdentifier:
    try:
        return await api.create_tax_identifier(client, type_=new.type, value=new.value)
    except Refused as refused:
        raise invalid_fields(refused) from None


async def _fetch_identifiers(
    client: DigitalRiverClient, customer_id: CustomerId, type_: str | None = None
) -> Entries[TaxIdentifier]:
    found = await api.fetch_tax_identifiers(client, customer_id)
    return Entries(
        (identifier for identifier in found if type_ in (None, identifier.type)), unreadable=found.unreadable
    )


async def _delete_unused(client: DigitalRiverClient, identifier_id: str) -> None:
    """Delete an identifier that is no longer needed. A failure is ignored."""
    with suppress(DigitalRiverError):
        await api.delete_tax_identifier(client, TaxIdentifierId(identifier_id))


def _normalise(value: str | None) -> str:
    return "".join((value or "").split()).upper()
