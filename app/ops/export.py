"""What the inbox holds about a customer, for the export: events of their orders, and those that name them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ConfigDict

from app.db.engine import RowMapping
from app.digital_river.tolerant_json import read_leniently
from app.documents.store import find_things
from app.ids import CustomerId
from app.ops import store
from app.resources import Resources
from app.web.contract import Contract, Instant
from app.webhooks.inbox import State

# Names of files, which open at Digital River with the shop's key, and what lets its bearer act for the buyer.
_SECRETS = ("fileid", "url", "link", "links", "token", "secret")
# In these events the object is the file.
_FILE_EVENTS = ("order.invoice.created", "order.credit_memo.created")


class HeldEvent(Contract):
    """Something that Digital River has notified the shop of."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "order.invoice.created",
                    "orderId": "188418250336",
                    "happenedAt": "2026-01-31T09:30:00.591115Z",
                    "receivedAt": "2026-01-31T09:30:01.100000Z",
                    "state": "buried",
                    "content": {"orderId": "188418250336", "customerId": "ada"},
                }
            ]
        }
    )

    type: str
    order_id: str | None
    happened_at: Instant | None
    received_at: Instant
    state: State
    """`pending` (not handled yet), `done`, `ignored` (not needed) or `buried` (an operator must look)."""
    content: dict[str, Any] | None
    """What it said, as far as it is still held, without what opens files or acts in the customer's name."""


async def list_held_events(resources: Resources, customer_id: CustomerId) -> Sequence[HeldEvent]:
    """The events that can be told to be about the customer, the last received first."""
    async with resources.engine.connect() as connection:
        things = await find_things(connection, customer_id)
        rows = await store.list_held_events(connection, customer_id, things)
    return [event for row in rows for event in _events(row, customer_id, things)]


def _events(row: RowMapping, customer_id: CustomerId, things: set[str]) -> Iterator[HeldEvent]:
    """The event, if it is the customer's: whom it names counts more than whose its order is said to be."""
    subject = _subject(row["body"])
    named = subject.get("customerId")
    is_theirs = row["order_id"] in things if named in {None, ""} else str(named) == customer_id
    if not is_theirs:
        return
    if row["type"] in _FILE_EVENTS:
        subject.pop("id", None)
    yield HeldEvent(
        type=row["type"],
        order_id=row["order_id"],
        happened_at=row["happened_at"],
        received_at=row["received_at"],
        state=row["state"],
        content=_shown(subject) if subject else None,
    )


def _subject(body: str | None) -> dict[str, Any]:
    """`data.object` of the event; empty where it is not held, or not readable."""
    try:
        event = read_leniently(body.encode()) if body else None
    except ValueError:
        return {}
    data = event.get("data") if isinstance(event, dict) else None
    subject = data.get("object") if isinstance(data, dict) else None
    return dict(subject) if isinstance(subject, dict) else {}


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _shown(one) for name, one in value.items() if not _is_secret(name)}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return value


def _is_secret(name: str) -> bool:
    return name.lower().endswith(_SECRETS)
