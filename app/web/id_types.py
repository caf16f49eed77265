"""Checks the form of ids in requests, so that impossible ones cost no query and no call to Digital River.

Digital River documents ids as opaque text of any length, with special characters. We have seen digits,
UUIDs and prefixed UUIDs. The shop chooses customer ids. We accept 1 to 100 characters that are safe in a path
segment. An id must not start with a dot, because `..` in the URL of a call would name another resource.
"""

from typing import Annotated

from fastapi import Path
from pydantic import StringConstraints

from app.ids import CustomerId, EventId, OrderId, SourceId, TaxIdentifierId

ID_PATTERN = r"^[A-Za-z0-9_:@|+=~-][A-Za-z0-9_.:@|+=~-]*$"
MAX_ID_LENGTH = 100

ID = StringConstraints(min_length=1, max_length=MAX_ID_LENGTH, pattern=ID_PATTERN)
"""For ids in bodies and queries, as in `source_id: Annotated[SourceId, ID]`."""

# Without control characters, because PostgreSQL's text holds no NUL.
_EVENT_TEXT = StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")

EventText = Annotated[str, _EVENT_TEXT]
"""For operators' queries: an id, a type or an order as the webhook endpoint accepts them."""

CustomerPath = Annotated[
    CustomerId, ID, Path(alias="customerId", description="`me`, or the caller's own id.", examples=["me"])
]
OrderPath = Annotated[OrderId, ID, Path(alias="orderId", examples=["204440790336"])]
EventPath = Annotated[
    EventId,
    _EVENT_TEXT,
    Path(
        alias="eventId",
        description="Percent-encode all characters but letters, digits, `-`, `.`, `_` and `~`.",
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
