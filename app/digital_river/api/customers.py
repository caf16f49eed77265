"""Calls about customers and the payment sources saved with them."""

from contextlib import suppress

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import path
from app.digital_river.errors import ConflictingState, Missing
from app.digital_river.models import Customer, CustomerChanges, Source
from app.ids import CustomerId, SourceId


async def fetch_customer(client: DigitalRiverClient, customer_id: CustomerId) -> Customer:
    """A customer with saved sources.

    Raises:
        Missing: there is no such customer.
    """
    endpoint = path("/customers/{id}", id=customer_id)
    return await client.fetch_json("GET", endpoint, model=Customer, expected={"id": customer_id})


async def find_customer(client: DigitalRiverClient, customer_id: CustomerId) -> Customer | None:
    """The customer with saved sources; None for a buyer without a customer at Digital River yet."""
    try:
        return await fetch_customer(client, customer_id)
    except Missing:
        return None


async def create_customer(
    client: DigitalRiverClient, customer_id: CustomerId, changes: CustomerChanges
) -> Customer:
    """Create a customer under our own id of at most 40 characters.

    Raises:
        ConflictingState: the customer exists already.
        Refused: a value is not acceptable.
    """
    body = {"id": customer_id, **_to_body(changes)}
    expected = {"id": customer_id}
    return await client.fetch_json("POST", path("/customers"), body=body, model=Customer, expected=expected)


async def ensure_customer(client: DigitalRiverClient, customer_id: CustomerId) -> Customer:
    """The customer, created if missing, as both official connectors do.

    Concurrent callers get the same customer: Digital River refuses the second creation, and that caller then
    reads the customer that the first one created.

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
        Refused, ConflictingState: a value is not acceptable.
    """
    endpoint = path("/customers/{id}", id=customer_id)
    expected = {"id": customer_id}
    return await client.fetch_json(
        "POST", endpoint, body=_to_body(changes), model=Customer, expected=expected
    )


async def attach_source(client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId) -> Source:
    """Save a source with a customer; the first one becomes the default.

    Raises:
        Missing: no such customer, or no such source.
        ConflictingState: `nonreusable_source`, `source_not_chargeable`, or the source of another customer.
    """
    endpoint = path("/customers/{id}/sources/{sourceId}", id=customer_id, sourceId=source_id)
    expected = {"id": source_id, "customer_id": customer_id}
    return await client.fetch_json("POST", endpoint, model=Source, expected=expected)


async def detach_source(client: DigitalRiverClient, customer_id: CustomerId, source_id: SourceId) -> None:
    """Detach a saved source for good: Digital River cancels it, and it cannot be attached again.

    Raises:
        Missing: the customer does not have this source.
    """
    endpoint = path("/customers/{id}/sources/{sourceId}", id=customer_id, sourceId=source_id)
    await client.call_without_result("DELETE", endpoint)


def _to_body(changes: CustomerChanges) -> dict[str, object]:
    return changes.model_dump(mode="json", by_alias=True, exclude_unset=True)


async def fetch_source(client: DigitalRiverClient, source_id: SourceId) -> Source:
    """A source of any customer: the caller must check `customer_id`.

    Raises:
        Missing: there is no such source.
    """
    endpoint = path("/sources/{id}", id=source_id)
    return await client.fetch_json("GET", endpoint, model=Source, expected={"id": source_id})
