"""Customers as they are stored and shown."""

from sandbox.commerce.sources import show_source
from sandbox.errors import Refusal, not_found
from sandbox.json_types import Json
from sandbox.runtime.runtime import World


def get_stored_customer(world: World, identity: str) -> Json:
    """The message is compared word by word by the official Lightning app: no final dot."""
    customer = world.ledger.customers.get(identity)
    if customer is None:
        refusal = not_found("Customer", identity)
        complaint = refusal.complaints[0]
        raise Refusal(404, type(complaint)(complaint.message.rstrip("."), complaint.code, "id"))
    return customer


def show_customer(world: World, customer: Json) -> Json:
    """With the sources and tax identifiers that are attached now; absent when there are none."""
    belongings = {
        "sources": [show_source(source) for source in attached_to(world.ledger.sources, customer)],
        "taxIdentifiers": attached_to(world.ledger.tax_identifiers, customer),
    }
    return {**customer, **{name: those for name, those in belongings.items() if those}}


def attached_to(resources: dict[str, Json], customer: Json) -> list[Json]:
    """Those of the resources that belong to the customer, oldest first."""
    return [resource for resource in resources.values() if resource.get("customerId") == customer["id"]]
