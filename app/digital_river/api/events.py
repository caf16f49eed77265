"""Events of the last 30 days, for finding those whose delivery failed."""

from datetime import datetime
from typing import Any

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Params, path
from app.digital_river.models import Event, Listing
from app.digital_river.models.timestamps import from_instant
from app.ids import EventId


class EventPage(Listing[Any]):
    """One page of events as they came, newest first: one that nobody can read must not hide the others."""


async def fetch_events(
    client: DigitalRiverClient,
    *,
    event_type: str,
    created_from: datetime,
    limit: int = 100,
    starting_after: str | None = None,
) -> EventPage:
    """One page of events of one type, newest first. `limit` is 1 to 100, the bound is inclusive.

    Several types would be `types`, which the spec describes as an array and declares as one string: a far
    side might refuse a list of them, or look at the first one only.
    """
    params: Params = {
        "type": event_type,
        "createdTime[gte]": from_instant(created_from),
        "limit": limit,
        "startingAfter": starting_after,
    }
    return await client.fetch_json("GET", path("/events"), params=params, model=EventPage)


async def fetch_event(client: DigitalRiverClient, event_id: EventId) -> Event:
    """One event.

    Raises:
        Missing: there is none, or it is too old.
    """
    where = path("/events/{id}", id=event_id)
    return await client.fetch_json("GET", where, model=Event, expected={"id": event_id})
