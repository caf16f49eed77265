"""Whose something is, and what else of its kind there is: where lies about owners come from."""

import random
from collections.abc import Mapping, Sequence

from sandbox.json_types import Json
from sandbox.state.store import Ledger


def shelves(ledger: Ledger) -> Mapping[str, dict[str, Json]]:
    """What can be read by its id, by the path it is read at."""
    return {
        "/orders": ledger.orders,
        "/customers": ledger.customers,
        "/files": ledger.files,
        "/file-links": ledger.file_links,
        "/fulfillments": ledger.fulfillments,
        "/refunds": ledger.refunds,
        "/sources": ledger.sources,
        "/tax-identifiers": ledger.tax_identifiers,
        "/events": ledger.events,
        "/webhooks": ledger.webhooks,
    }


def find_shelf(ledger: Ledger, identity: object) -> str | None:
    """The path at which this id is read."""
    return next((path for path, rows in shelves(ledger).items() if identity in rows), None)


def others(ledger: Ledger, shelf: str, identity: object, dice: random.Random) -> list[str]:
    """The ids of the rest of the shelf in drawn order, those of another owner first."""
    rows = shelves(ledger)[shelf]
    owner = owner_of(ledger, rows[str(identity)]) if identity in rows else None
    found = [one for one in rows if one != identity]
    dice.shuffle(found)
    return sorted(found, key=lambda one: owner_of(ledger, rows[one]) in (None, owner))


def owner_of(ledger: Ledger, resource: Json) -> str | None:
    """The customer something belongs to, over its order or file if need be."""
    if "type" in resource and isinstance(resource.get("data"), dict):
        return owner_of(ledger, resource["data"].get("object", {}))
    if isinstance(resource.get("customerId"), str):
        return str(resource["customerId"])
    if resource.get("id") in ledger.customers:
        return str(resource["id"])
    if "orderId" in resource:
        return owner_of(ledger, ledger.orders.get(str(resource["orderId"]), {}))
    file_id = resource.get("fileId", resource.get("id"))
    holder = (order for order in ledger.orders.values() if file_id in document_ids(order))
    return owner_of(ledger, next(holder, {})) if file_id in ledger.files else None


def document_ids(order: Json) -> list[str]:
    return [entry["id"] for place in ("invoicePDFs", "creditMemoPDFs") for entry in order.get(place, [])]


def blend(variant: str, honest: Json, stranger: Json, names: Sequence[str]) -> Json:
    """The stranger as it is (`open`), under the honest id (`renamed`), or its parts in the honest one.

    Parts are lists, those called `names` only when there are any.
    """
    match variant:
        case "renamed":
            kept = ("id",) if "id" in honest else ("orderId",)
            return {**stranger, **{name: honest[name] for name in kept if name in honest}}
        case "nested":
            parts = {name: part for name, part in stranger.items() if isinstance(part, list)}
            return {**honest, **{name: part for name, part in parts.items() if not names or name in names}}
        case _:
            return stranger


def other_id(ledger: Ledger, name: str, identity: str, dice: random.Random) -> str:
    """An id that could stand there instead: of something that exists, if there is anything else."""
    if name == "customerId":
        known = {order.get("customerId") for order in ledger.orders.values()}
        found = sorted({*ledger.customers, *(one for one in known if one)} - {identity})
        return dice.choice(found) if found else _changed(identity)
    shelf = find_shelf(ledger, identity)
    found = others(ledger, shelf, identity, dice) if shelf else []
    return found[0] if found else _changed(identity)


def _changed(identity: str) -> str:
    """As long and as plausible, but not the same."""
    return identity[:-1] + ("1" if identity.endswith("0") else "0")
