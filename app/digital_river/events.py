"""Events of the last 30 days, for finding those whose delivery failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.digital_river.calls import Params
from app.digital_river.models import Event, Listing
from app.digital_river.paths import path
from app.digital_river.times import from_instant
from app.digital_river.transport import Transport
from app.ids import EventId

MOST_TYPES = 19  # Spec, GET /events: "less than 20 specific event names"


class EventPage(Listing[Any]):
    """One page of events as they came, newest first: one that nobody can read must not hide the others."""


async def fetch_events(
    far: Transport,
    *,
    types: Sequence[str],
    created_from: datetime,
    limit: int = 100,
    starting_after: str | None = None,
) -> EventPage:
    """One page of events of the given types, newest first. `limit` is 1 to 100, the bound is inclusive.

    Raises:
        ValueError: no type at all, or more than 19.
    """
    if not 0 < len(types) <= MOST_TYPES:
        raise ValueError(f"events are listed for 1 to {MOST_TYPES} types at a time, not {len(types)}")
    params: Params = {
        "types": list(types),
        "createdTime[gte]": from_instant(created_from),
        "limit": limit,
        "startingAfter": starting_after,
    }
    return await far.fetch_json("GET", path("/events"), params=params, model=EventPage)


async def fetch_event(far: Transport, event_id: EventId) -> Event:
    """One event.

    Raises:
        Missing: there is none, or it is too old.
    """
    where = path("/events/{id}", id=event_id)
    return await far.fetch_json("GET", where, model=Event, expected={"id": event_id})
