"""Reads the fields of an event that the inbox needs to store it once."""

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
    """The body is authentic but not a valid event; `field` names the wrong field ("" for the whole body)."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_event(body: bytes, handled_types: Collection[str]) -> NewEvent:
    """Read the outer fields of an event (Digital River docs, Events); its handler reads the content. If the
    type has no handler, the content is not needed and may be personal: only the digest of the body is kept.

    Raises:
        InvalidEvent: the body is not a JSON object, or has no usable id or type.
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
    """The id of the order that the event is about, for the operators' search; None if the event has none."""
    data = event.get("data")
    event_object = data.get("object") if isinstance(data, dict) else None
    if not isinstance(event_object, dict):
        return None
    candidate = event_object.get("orderId")
    if candidate is None and event_type.startswith("order."):
        candidate = event_object.get("id")
    return str(candidate) if _is_name(candidate) else None


def _read_instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(value))
        instant = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if is_plausible(instant) else None
