"""Calls about the events of the last 30 days, to find those whose webhook did not arrive."""

from datetime import datetime
from typing import Any

from app.digital_river.client.http_client import DigitalRiverClient
from app.digital_river.client.request import Params, path
from app.digital_river.models import Event, Listing
from app.digital_river.models.timestamps import format_floor
from app.ids import EventId


class EventPage(Listing[Any]):
    """One page of raw events, newest first; not validated, so that a bad event cannot hide the others."""


async def fetch_events(
    client: DigitalRiverClient,
    *,
    event_type: str,
    created_from: datetime,
    limit: int = 100,
    starting_after: str | None = None,
) -> EventPage:
    """One page of events of one type, newest first. `limit` is 1 to 100, the bound is inclusive.

    There is a parameter `types` for several types. The spec describes it as an array and declares it as one
    string, so Digital River might refuse a list, or read only its first type.
    """
    params: Params = {
        "type": event_type,
        "createdTime[gte]": format_floor(created_from),
        "limit": limit,
        "startingAfter": starting_after,
    }
    return await client.fetch_json("GET", path("/events"), params=params, model=EventPage)


async def fetch_event(client: DigitalRiverClient, event_id: EventId) -> Event:
    """One event.

    Raises:
        Missing: there is no such event, or it is too old.
    """
    endpoint = path("/events/{id}", id=event_id)
    return await client.fetch_json("GET", endpoint, model=Event, expected={"id": event_id})
