"""Customers as they are stored and shown."""

from sandbox.commerce.sources import show_source
from sandbox.errors import ApiError, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime


def get_stored_customer(runtime: Runtime, resource_id: str) -> Json:
    """Raises a 404 without a final dot: the official Lightning app compares the message word by word."""
    customer = runtime.store.customers.get(resource_id)
    if customer is None:
        error = not_found("Customer", resource_id)
        detail = error.errors[0]
        raise ApiError(404, type(detail)(detail.message.rstrip("."), detail.code, "id"))
    return customer


def show_customer(runtime: Runtime, customer: Json) -> Json:
    """The customer with the attached sources and tax identifiers. Empty lists are left out."""
    attached = {
        "sources": [show_source(source) for source in attached_to(runtime.store.sources, customer)],
        "taxIdentifiers": attached_to(runtime.store.tax_identifiers, customer),
    }
    return {**customer, **{name: rows for name, rows in attached.items() if rows}}


def attached_to(resources: dict[str, Json], customer: Json) -> list[Json]:
    """The resources that are attached to the customer, oldest first."""
    return [resource for resource in resources.values() if resource.get("customerId") == customer["id"]]
