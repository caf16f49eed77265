"""What the inbox holds about a customer, for the export: events of their orders, and those that name them."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.db.engine import RowMapping
from app.digital_river.models.tolerant_json import read_leniently
from app.ids import CustomerId
from app.privacy.schemas import HeldEvent

# Names of files, which open at Digital River with the shop's key, and what lets its bearer act for the buyer.
_SECRET_SUFFIXES = ("fileid", "url", "link", "links", "token", "secret")
# In these events the object is the file.
_FILE_EVENTS = ("order.invoice.created", "order.credit_memo.created")


def select_customer_events(
    rows: Iterable[RowMapping], customer_id: CustomerId, owned_ids: set[str]
) -> list[HeldEvent]:
    """Those of the events that can be told to be about the customer, whose orders are among `things`."""
    events = (_find_customer_event(row, customer_id, owned_ids) for row in rows)
    return [event for event in events if event is not None]


def _find_customer_event(row: RowMapping, customer_id: CustomerId, owned_ids: set[str]) -> HeldEvent | None:
    """The event, if it is the customer's: whom it names counts more than whose its order is said to be."""
    subject = _read_event_object(row["body"])
    named = subject.get("customerId")
    # Not a set: what is named may be an object, which no set can hold.
    is_theirs = row["order_id"] in owned_ids if named in (None, "") else str(named) == customer_id
    if not is_theirs:
        return None
    if row["type"] in _FILE_EVENTS:
        subject.pop("id", None)
    return HeldEvent(
        type=row["type"],
        order_id=row["order_id"],
        happened_at=row["happened_at"],
        received_at=row["received_at"],
        state=row["state"],
        content=_redact(subject) if subject else None,
    )


def _read_event_object(body: str | None) -> dict[str, Any]:
    """`data.object` of the event; empty where it is not held, or not readable."""
    try:
        event = read_leniently(body.encode()) if body else None
    except ValueError:
        return {}
    data = event.get("data") if isinstance(event, dict) else None
    subject = data.get("object") if isinstance(data, dict) else None
    return dict(subject) if isinstance(subject, dict) else {}


def _redact(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _redact(one) for name, one in value.items() if not _is_secret(name)}
    if isinstance(value, list):
        return [_redact(one) for one in value]
    return value


def _is_secret(name: str) -> bool:
    return name.lower().endswith(_SECRET_SUFFIXES)
