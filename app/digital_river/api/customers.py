"""Customers and the payment sources saved with them."""

from contextlib import suppress

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import path
from app.digital_river.errors import ConflictingState, Missing
from app.digital_river.models import Customer, CustomerChanges, Source
from app.ids import CustomerId, SourceId


async def fetch_customer(client: DigitalRiverClient, customer_id: CustomerId) -> Customer:
    """One customer with saved sources.

    Raises:
        Missing: there is none.
    """
    where = path("/customers/{id}", id=customer_id)
    return await client.fetch_json("GET", where, model=Customer, expected={"id": customer_id})


async def find_customer(client: DigitalRiverClient, customer_id: CustomerId) -> Customer | None:
    """The customer with saved sources; None for somebody who has not needed one there yet."""
    try:
        return await fetch_customer(client, customer_id)
    except Missing:
        return None


async def create_customer(
    client: DigitalRiverClient, customer_id: CustomerId, changes: CustomerChanges
) -> Customer:
    """Create a customer under our own id of at most 40 characters.

    Raises:
        Conflict: there is one already.
        Refused: a value is not acceptable.
    """
    body = {"id": customer_id, **_written(changes)}
    expected = {"id": customer_id}
    return await client.fetch_json("POST", path("/customers"), body=body, model=Customer, expected=expected)


async def ensure_customer(client: DigitalRiverClient, customer_id: CustomerId) -> Customer:
    """The customer, created on first need, as both official connectors do.

    However many callers find none at once, all of them get the same customer: whoever creates it second is
    refused, and reads what the first one made.

    Raises:
        Refused: the id is not acceptable.
    """
    with suppress(Missing):
        return await fetch_customer(client, customer_id)
    try:
        return await create_customer(client, customer_id, CustomerChanges())
    except ConflictingState:
        return await fetch_customer(client, customer_id)


async def update_customer(
    client: DigitalRiverClient, customer_id: CustomerId, changes: CustomerChanges
) -> Customer:
    """Change the fields that are set in `changes`; metadata is merged, "" deletes a key of it.

    Raises:
        Missing: there is no such customer.
        Refused, Conflict: a value is not acceptable.
    """
    where = path("/customers/{id}", id=customer_id)
    expected = {"id": customer_id}
    return await client.fetch_json("POST", where, body=_written(changes), model=Customer, expected=expected)


async def attach_source(client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId) -> Source:
    """Save a source with a customer; the first one becomes the default.

    Raises:
        Missing: no such customer, or no such source.
        Conflict: `nonreusable_source`, `source_not_chargeable`, or somebody else's.
    """
    where = path("/customers/{id}/sources/{sourceId}", id=customer_id, sourceId=source_id)
    expected = {"id": source_id, "customer_id": customer_id}
    return await client.fetch_json("POST", where, model=Source, expected=expected)


async def detach_source(client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId) -> None:
    """Forget a saved source for good: it is cancelled and cannot be attached again.

    Raises:
        Missing: it is not there.
    """
    where = path("/customers/{id}/sources/{sourceId}", id=customer_id, sourceId=source_id)
    await client.fetch_nothing("DELETE", where)


def _written(changes: CustomerChanges) -> dict[str, object]:
    return changes.model_dump(mode="json", by_alias=True, exclude_unset=True)


async def fetch_source(client: DigitalRiverClient, source_id: SourceId) -> Source:
    """One source, whoever it belongs to: the caller checks `customer_id`.

    Raises:
        Missing: there is none.
    """
    where = path("/sources/{id}", id=source_id)
    return await client.fetch_json("GET", where, model=Source, expected={"id": source_id})
