"""Tax identifiers: created for themselves, then attached to the one customer they belong to."""

from app.digital_river.api.pagination import Entries, fetch_every
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import path
from app.digital_river.models import Listing, TaxIdentifier
from app.ids import CustomerId, TaxIdentifierId


async def create_tax_identifier(client: DigitalRiverClient, *, type_: str, value: str) -> TaxIdentifier:
    """Create one that belongs to nobody yet; its format is checked now, its validity later.

    Raises:
        Refused: the format is wrong (`invalid_parameter` at `value`) or the type unknown.
    """
    body = {"type": type_, "value": value}
    return await client.fetch_json("POST", path("/tax-identifiers"), body=body, model=TaxIdentifier)


async def attach_tax_identifier(
    client: DigitalRiverClient, customer_id: CustomerId, tax_identifier_id: TaxIdentifierId
) -> TaxIdentifier:
    """Give it to a customer, who may have one per type.

    Raises:
        Missing: no such customer, or no such identifier.
        Conflict: it belongs to somebody else, or the customer has one of that type.
    """
    where = path("/customers/{id}/tax-identifiers/{taxId}", id=customer_id, taxId=tax_identifier_id)
    expected = {"id": tax_identifier_id, "customer_id": customer_id}
    return await client.fetch_json("POST", where, model=TaxIdentifier, expected=expected)


async def fetch_tax_identifiers(
    client: DigitalRiverClient, customer_id: CustomerId
) -> Entries[TaxIdentifier]:
    """All identifiers of a customer, newest first."""
    expected, params = {"customer_id": customer_id}, {"customerId": customer_id}
    return await fetch_every(client, path("/tax-identifiers"), expected, params, Listing[TaxIdentifier])


async def fetch_tax_identifier(
    client: DigitalRiverClient, tax_identifier_id: TaxIdentifierId
) -> TaxIdentifier:
    """One identifier, whoever it belongs to: the caller checks `customer_id`.

    Raises:
        Missing: there is none.
    """
    where = path("/tax-identifiers/{id}", id=tax_identifier_id)
    return await client.fetch_json("GET", where, model=TaxIdentifier, expected={"id": tax_identifier_id})


async def delete_tax_identifier(client: DigitalRiverClient, tax_identifier_id: TaxIdentifierId) -> None:
    """Detach and delete.

    Raises:
        Missing: it is not there.
    """
    await client.fetch_nothing("DELETE", path("/tax-identifiers/{id}", id=tax_identifier_id))
