"""The one thing this room asks PostgreSQL: what time it is. Saved methods live at Digital River only."""

from datetime import UTC, datetime

import asyncpg


async def fetch_now(hot: asyncpg.Pool) -> datetime:
    """The database's time in UTC, which all processes share."""
    now: datetime = await hot.fetchval("SELECT now()")
    return now.astimezone(UTC)
