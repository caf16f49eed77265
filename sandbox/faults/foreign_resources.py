"""Finds resources of other customers, for faults that send the wrong resource."""

import random
from collections.abc import Mapping, Sequence

from sandbox.json_types import Json
from sandbox.state.store import Store


def collections_by_path(store: Store) -> Mapping[str, dict[str, Json]]:
    """The collections that can be read by id, by path."""
    return {
        "/orders": store.orders,
        "/customers": store.customers,
        "/files": store.files,
        "/file-links": store.file_links,
        "/fulfillments": store.fulfillments,
        "/refunds": store.refunds,
        "/sources": store.sources,
        "/tax-identifiers": store.tax_identifiers,
        "/events": store.events,
        "/webhooks": store.webhooks,
    }


def find_collection(store: Store, resource_id: object) -> str | None:
    """The path of the collection that has this id."""
    return next((path for path, rows in collections_by_path(store).items() if resource_id in rows), None)


def other_ids(store: Store, collection: str, resource_id: object, rng: random.Random) -> list[str]:
    """The other ids of the collection in random order, those of other customers first."""
    rows = collections_by_path(store)[collection]
    owner = owner_of(store, rows[str(resource_id)]) if resource_id in rows else None
    found = [other for other in rows if other != resource_id]
    rng.shuffle(found)
    return sorted(found, key=lambda other: owner_of(store, rows[other]) in (None, owner))


def owner_of(store: Store, resource: Json) -> str | None:
    """The id of the customer who owns the resource, its order or its file."""
    if "type" in resource and isinstance(resource.get("data"), dict):
        return owner_of(store, resource["data"].get("object", {}))
    if isinstance(resource.get("customerId"), str):
        return str(resource["customerId"])
    if resource.get("id") in store.customers:
        return str(resource["id"])
    if "orderId" in resource:
        return owner_of(store, store.orders.get(str(resource["orderId"]), {}))
    file_id = resource.get("fileId", resource.get("id"))
    holder = (order for order in store.orders.values() if file_id in document_ids(order))
    return owner_of(store, next(holder, {})) if file_id in store.files else None


def document_ids(order: Json) -> list[str]:
    return [entry["id"] for member in ("invoicePDFs", "creditMemoPDFs") for entry in order.get(member, [])]


def substitute(variant: str, original: Json, foreign: Json, names: Sequence[str]) -> Json:
    """The foreign resource (`open`), also with the original id (`renamed`); or the original with its lists.

    With `names`, only the lists with those names.
    """
    match variant:
        case "renamed":
            kept = ("id",) if "id" in original else ("orderId",)
            return {**foreign, **{name: original[name] for name in kept if name in original}}
        case "nested":
            parts = {name: part for name, part in foreign.items() if isinstance(part, list)}
            return {**original, **{name: part for name, part in parts.items() if not names or name in names}}
        case _:
            return foreign


def other_id(store: Store, name: str, resource_id: str, rng: random.Random) -> str:
    """Another id for this member: of an existing resource if there is one."""
    if name == "customerId":
        known = {order.get("customerId") for order in store.orders.values()}
        found = sorted({*store.customers, *(owner for owner in known if owner)} - {resource_id})
        return rng.choice(found) if found else _changed(resource_id)
    collection = find_collection(store, resource_id)
    found = other_ids(store, collection, resource_id, rng) if collection else []
    return found[0] if found else _changed(resource_id)


def _changed(resource_id: str) -> str:
    """A different id of the same length."""
    return resource_id[:-1] + ("1" if resource_id.endswith("0") else "0")
