"""Chooses a customer's events for the export, and removes ids, links and secrets that give access."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.db.engine import RowMapping
from app.digital_river.models.tolerant_json import read_leniently
from app.ids import CustomerId
from app.privacy.schemas import HeldEvent

# Ids of files, which open with the shop's key, and secrets with which their bearer acts as the buyer.
_SECRET_SUFFIXES = ("fileid", "url", "link", "links", "token", "secret")
# In these events the object is a file, so its `id` opens that file.
_FILE_EVENTS = ("order.invoice.created", "order.credit_memo.created")


def select_customer_events(
    rows: Iterable[RowMapping], customer_id: CustomerId, owned_ids: set[str]
) -> list[HeldEvent]:
    """The events that are certainly about the customer, whose orders are among `owned_ids`."""
    events = (_find_customer_event(row, customer_id, owned_ids) for row in rows)
    return [event for event in events if event is not None]


def _find_customer_event(row: RowMapping, customer_id: CustomerId, owned_ids: set[str]) -> HeldEvent | None:
    """The event, if it is the customer's. If it names a customer, its order does not count."""
    event_object = _read_event_object(row["body"])
    named = event_object.get("customerId")
    # A tuple and not a set, because the value may be an object, which is not hashable.
    is_the_customers = row["order_id"] in owned_ids if named in (None, "") else str(named) == customer_id
    if not is_the_customers:
        return None
    if row["type"] in _FILE_EVENTS:
        event_object.pop("id", None)
    return HeldEvent(
        type=row["type"],
        order_id=row["order_id"],
        happened_at=row["happened_at"],
        received_at=row["received_at"],
        state=row["state"],
        content=_redact(event_object) if event_object else None,
    )


def _read_event_object(body: str | None) -> dict[str, Any]:
    """`data.object` of the event; empty if the body is no longer stored or not readable."""
    try:
        event = read_leniently(body.encode()) if body else None
    except ValueError:
        return {}
    data = event.get("data") if isinstance(event, dict) else None
    event_object = data.get("object") if isinstance(data, dict) else None
    return dict(event_object) if isinstance(event_object, dict) else {}


def _redact(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _redact(member) for name, member in value.items() if not _is_secret(name)}
    if isinstance(value, list):
        return [_redact(element) for element in value]
    return value


def _is_secret(name: str) -> bool:
    return name.lower().endswith(_SECRET_SUFFIXES)
