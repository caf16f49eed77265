"""The tables of links and of refused links, and the statements about them. `store` joins links to lists."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.hot_pool import HotPool
from app.db.schema import metadata
from app.documents.link_policy import MAXIMUM_LIFETIME, MINIMUM_LIFETIME, Link, LinkPolicy
from app.ids import FileId

# If a new link to a file could not be used, no other one is created for this time: each would be one more
# URL that opens the file.
REFUSAL_PERIOD = timedelta(minutes=1)

file_link = sa.Table(
    "file_link",
    metadata,
    # One row for each file: only the newest link is handed out.
    sa.Column("file_id", sa.Text, primary_key=True),
    sa.Column("link_id", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("ix_file_link_expires_at", "expires_at"),
)

link_refusal = sa.Table(
    "link_refusal",
    metadata,
    sa.Column("file_id", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)


# In one order, because another transaction with the same files waits for the first lock.
_UPSERT_LINKS = sa.text("""
INSERT INTO file_link AS stored (file_id, link_id, url, expires_at)
SELECT *
FROM unnest(
    CAST(:file_ids AS text[]), CAST(:link_ids AS text[]), CAST(:urls AS text[]), CAST(:ends AS timestamptz[])
) AS new (file_id, link_id, url, expires_at)
ORDER BY file_id
ON CONFLICT (file_id) DO UPDATE
    SET (link_id, url, expires_at) = (excluded.link_id, excluded.url, excluded.expires_at)
    WHERE stored.url <> excluded.url OR stored.expires_at <> excluded.expires_at
""")


async def upsert_links(connection: AsyncConnection, links: Mapping[FileId, Link]) -> None:
    """Store the links in place of the stored ones. The callers found those unusable, or store them again."""
    values = {
        "file_ids": [*links],
        "link_ids": [link.link_id for link in links.values()],
        "urls": [link.url for link in links.values()],
        "ends": [link.expires_at for link in links.values()],
    }
    await connection.execute(_UPSERT_LINKS, values)


class Refusal(NamedTuple):
    """Why a new link to a file was refused, and for how long no other one is created."""

    reason: str
    seconds_left: float


# For each of several files: all events that the worker handles at the same moment share it.
_FIND_STORED_LINKS = f"""
SELECT l.link_id, l.url, l.expires_at, r.reason,
    extract(epoch FROM r.refused_at - now())::float8 + {REFUSAL_PERIOD.total_seconds():.0f} AS seconds_left
FROM unnest($1::text[]) WITH ORDINALITY AS file (id, position)
LEFT JOIN file_link l ON l.file_id = file.id
    AND l.expires_at > now() + interval '{MINIMUM_LIFETIME.total_seconds():.0f} seconds'
    AND l.expires_at <= now() + interval '{MAXIMUM_LIFETIME.total_seconds():.0f} seconds'
LEFT JOIN link_refusal r ON r.file_id = file.id
    AND r.refused_at > now() - interval '{REFUSAL_PERIOD.total_seconds():.0f} seconds'
ORDER BY file.position
"""  # noqa: S608


async def find_stored_link(
    pool: HotPool, policy: LinkPolicy, file_id: FileId, *, shared: bool = False
) -> tuple[Link | None, Refusal | None]:
    """The stored link of the file, if the policy allows it and it lives for another five minutes at least;
    and the refusal of a new link within REFUSAL_PERIOD, None if none was refused. Takes the hot pool; if
    `shared`, the statement may wait for those of other callers."""
    if shared:
        row = await pool.fetchrow_shared(_FIND_STORED_LINKS, file_id)
    else:
        row = await pool.fetchrow(_FIND_STORED_LINKS, [file_id])
    link_id, url, expires_at, reason, seconds_left = row
    is_usable = url is not None and policy.allows(url)
    return (
        Link(link_id, url, expires_at) if is_usable else None,
        None if reason is None else Refusal(reason, seconds_left),
    )


async def upsert_refusal(connection: AsyncConnection, file_id: FileId, reason: str) -> None:
    """Store that a new link to the file was refused just now."""
    statement = insert(link_refusal).values(file_id=file_id, reason=reason, refused_at=sa.func.now())
    new = statement.excluded
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[link_refusal.c.file_id],
            set_={"reason": new.reason, "refused_at": new.refused_at},
        )
    )
