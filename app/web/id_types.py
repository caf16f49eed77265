"""Identifiers as they arrive from outside: what no system ever made is refused before anybody looks for it.

Digital River documents ids as opaque text of any length that may hold special characters; seen are digits,
UUIDs, prefixed UUIDs and callers' own customer ids. Accepted are 1 to 100 characters that stand in one path
segment unharmed. A leading dot is refused, because `..` would climb in a far-side URL.
"""

from typing import Annotated

from fastapi import Path
from pydantic import StringConstraints

from app.ids import CustomerId, EventId, OrderId, SourceId, TaxIdentifierId

ID_PATTERN = r"^[A-Za-z0-9_:@|+=~-][A-Za-z0-9_.:@|+=~-]*$"
LONGEST_ID = 100

ID = StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=ID_PATTERN)
"""For ids in bodies and queries, as in `source_id: Annotated[SourceId, ID]`."""

# Control characters apart: PostgreSQL's text holds no NUL.
_EVENT_TEXT = StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")

EventText = Annotated[str, _EVENT_TEXT]
"""For what operators ask about events: whatever the webhook endpoint accepts as an id, a type, an order."""

CustomerPath = Annotated[
    CustomerId, ID, Path(alias="customerId", description="`me`, or the caller's own id.", examples=["me"])
]
OrderPath = Annotated[OrderId, ID, Path(alias="orderId", examples=["204440790336"])]
EventPath = Annotated[
    EventId,
    _EVENT_TEXT,
    Path(
        alias="eventId",
        description="Percent-encoded where it holds more than letters, digits, `-`, `.`, `_` and `~`.",
        examples=["bdcf5832-fc2c-4c79-92e0-85b261818ae0"],
    ),
]
SourcePath = Annotated[
    SourceId, ID, Path(alias="sourceId", examples=["0d0f3c2e-8d4f-4f0b-9d51-2f6a4b7c8d90"])
]
TaxIdentifierPath = Annotated[
    TaxIdentifierId,
    ID,
    Path(alias="taxIdentifierId", examples=["5f0a0198-8d4f-4f0b-9d51-2f6a4b7c8d90"]),
]
