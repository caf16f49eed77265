"""Stored payment sources: their JSON in the API and in orders, and their states."""

from decimal import Decimal

from sandbox.delivery.events import emit
from sandbox.errors import ApiError, ErrorDetail
from sandbox.json_types import Json
from sandbox.runtime.runtime import Runtime
from sandbox.state.clock import iso_time_milliseconds

# Members of the browser's form only (Digital River docs, Sources).
_ONLY_IN_BROWSERS = (
    "clientId",
    "channelId",
    "creationIp",
    "browserInfo",
    "language",
    "redirect",
    "sessionId",
    "expirationTime",
)


def show_source(source: Json) -> Json:
    """The API's form: without the members for browsers, with the amount as a number."""
    shown = {name: value for name, value in source.items() if name not in _ONLY_IN_BROWSERS}
    details_name = source["type"]
    details = source[details_name]
    shown[details_name] = {name: value for name, value in details.items() if name != "paymentIdentifier"}
    if "amount" in shown:
        shown["amount"] = float(Decimal(str(shown["amount"])))
    return shown


def show_source_in_order(source: Json, amount: float) -> Json:
    """The source as an order shows it, with the amount it pays (sample order.accepted)."""
    shown = show_source(source)
    names = [name for name in ("id", "type", "owner", source["type"]) if name in shown]
    return {**{name: shown[name] for name in names}, "amount": amount}


def get_stored_source(runtime: Runtime, resource_id: str) -> Json:
    """Raises the 404 of the official Lightning app's fixtures, which has no parameter."""
    source = runtime.store.sources.get(resource_id)
    if source is None:
        raise ApiError(404, ErrorDetail(f"Source {resource_id} was not found.", "source_not_found"))
    return source


def change_source_state(runtime: Runtime, source: Json, state: str) -> None:
    """Change the state, as after a redirect, a money transfer or a decline of the bank."""
    has_become_chargeable = state == "chargeable" != source["state"]
    source["state"] = state
    source["updatedTime"] = iso_time_milliseconds(runtime.now())
    if has_become_chargeable:
        emit(runtime, "source.chargeable", show_source(source))


def cancel_source(runtime: Runtime, source: Json) -> None:
    """Cancel and detach. The event shows the cancelled source with its last customer."""
    source |= {"state": "cancelled", "updatedTime": iso_time_milliseconds(runtime.now())}
    emit(runtime, "customer.source.deleted", show_source(source))
    del source["customerId"]
