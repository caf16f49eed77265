"""Calls about tax identifiers. They are created without a customer, then attached to one."""

from app.digital_river.api.pagination import Entries, fetch_all
from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import path
from app.digital_river.models import Listing, TaxIdentifier
from app.ids import CustomerId, TaxIdentifierId


async def create_tax_identifier(client: DigitalRiverClient, *, type_: str, value: str) -> TaxIdentifier:
    """Create a tax identifier without a customer. Digital River checks its format now, its validity later.

    Raises:
        Refused: the format is wrong (`invalid_parameter` at `value`) or the type unknown.
    """
    body = {"type": type_, "value": value}
    return await client.fetch_json("POST", path("/tax-identifiers"), body=body, model=TaxIdentifier)


async def attach_tax_identifier(
    client: DigitalRiverClient, customer_id: CustomerId, tax_identifier_id: TaxIdentifierId
) -> TaxIdentifier:
    """Attach a tax identifier to a customer, who may have one of each type.

    Raises:
        Missing: no such customer, or no such identifier.
        ConflictingState: it belongs to another customer, or the customer has one of that type.
    """
    endpoint = path("/customers/{id}/tax-identifiers/{taxId}", id=customer_id, taxId=tax_identifier_id)
    expected = {"id": tax_identifier_id, "customer_id": customer_id}
    return await client.fetch_json("POST", endpoint, model=TaxIdentifier, expected=expected)


async def fetch_tax_identifiers(
    client: DigitalRiverClient, customer_id: CustomerId
) -> Entries[TaxIdentifier]:
    """All identifiers of a customer, newest first."""
    expected, params = {"customer_id": customer_id}, {"customerId": customer_id}
    return await fetch_all(client, path("/tax-identifiers"), expected, params, Listing[TaxIdentifier])


async def fetch_tax_identifier(
    client: DigitalRiverClient, tax_identifier_id: TaxIdentifierId
) -> TaxIdentifier:
    """An identifier of any customer: the caller must check `customer_id`.

    Raises:
        Missing: there is no such identifier.
    """
    endpoint = path("/tax-identifiers/{id}", id=tax_identifier_id)
    return await client.fetch_json("GET", endpoint, model=TaxIdentifier, expected={"id": tax_identifier_id})


async def delete_tax_identifier(client: DigitalRiverClient, tax_identifier_id: TaxIdentifierId) -> None:
    """Detach and delete an identifier.

    Raises:
        Missing: there is no such identifier.
    """
    await client.call_without_result("DELETE", path("/tax-identifiers/{id}", id=tax_identifier_id))
