"""Reads as much of an event as it takes to keep it once."""

from collections.abc import Collection
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from app.digital_river.models.timestamps import is_plausible
from app.digital_river.models.tolerant_json import read_strictly
from app.ids import EventId
from app.webhooks.ingest import NewEvent

MAX_ID_LENGTH = 200


class InvalidEvent(ValueError):
    """The body is authentic but no event; `field` names what is wrong ("" for the body as a whole)."""

    def __init__(self, field: str, complaint: str) -> None:
        super().__init__(complaint)
        self.field = field


def read_event(body: bytes, handled_types: Collection[str]) -> NewEvent:
    """Read the envelope of an event (Digital River docs, Events). Its content is the handler's business;
    that of a type without a handler may be personal, and is of no use: only its digest is kept.

    Raises:
        InvalidEvent: not JSON, not an object, or without a usable id or type.
    """
    try:
        text = body.decode()
        event = read_strictly(text)
    except ValueError as error:
        raise InvalidEvent("", "The body is not valid JSON in UTF-8.") from error
    if not isinstance(event, dict):
        raise InvalidEvent("", "The body is not a JSON object.")
    event_id, event_type = EventId(_read_name(event, "id")), _read_name(event, "type")
    happened_at = _read_instant(event.get("createdTime"))
    if event_type not in handled_types:
        return NewEvent(event_id, event_type, "ignored", None, happened_at, None, sha256(body).digest())
    return NewEvent(event_id, event_type, "pending", _read_order_id(event, event_type), happened_at, text)


def _read_name(event: dict[str, Any], field: str) -> str:
    value = event.get(field)
    if not _is_name(value):
        raise InvalidEvent(
            field, f"The field '{field}' must be a text of 1 to {MAX_ID_LENGTH} printable characters."
        )
    return str(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH and value.isprintable()


def _read_order_id(event: dict[str, Any], event_type: str) -> str | None:
    """The order it is about, for the operator's search; None when it does not say."""
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        return None
    candidate = subject.get("orderId")
    if candidate is None and event_type.startswith("order."):
        candidate = subject.get("id")
    return str(candidate) if _is_name(candidate) else None


def _read_instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(value))
        instant = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if is_plausible(instant) else None
