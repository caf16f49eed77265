"""The query parameters of every paged list."""

from typing import Annotated

from fastapi import Query

from app.web.paging import CURSOR_LENGTH

DEFAULT_LIMIT = 20

Limit = Annotated[int, Query(ge=1, le=100, description="The maximum number of entries on the page.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=CURSOR_LENGTH,
        description="`nextCursor` of the previous page, unchanged. Omit it for the first page.",
    ),
]
