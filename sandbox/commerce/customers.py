"""Customers as they are stored and shown."""

from sandbox.commerce.sources import show_source
from sandbox.errors import ApiError, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime


def get_stored_customer(runtime: Runtime, resource_id: str) -> Json:
    """The message is compared word by word by the official Lightning app: no final dot."""
    customer = runtime.store.customers.get(resource_id)
    if customer is None:
        error = not_found("Customer", resource_id)
        detail = error.errors[0]
        raise ApiError(404, type(detail)(detail.message.rstrip("."), detail.code, "id"))
    return customer


def show_customer(runtime: Runtime, customer: Json) -> Json:
    """With the sources and tax identifiers that are attached now; absent when there are none."""
    belongings = {
        "sources": [show_source(source) for source in attached_to(runtime.store.sources, customer)],
        "taxIdentifiers": attached_to(runtime.store.tax_identifiers, customer),
    }
    return {**customer, **{name: those for name, those in belongings.items() if those}}


def attached_to(resources: dict[str, Json], customer: Json) -> list[Json]:
    """Those of the resources that belong to the customer, oldest first."""
    return [resource for resource in resources.values() if resource.get("customerId") == customer["id"]]
