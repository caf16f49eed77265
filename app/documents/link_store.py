"""The tables of links and of refused links, and the statements about them. `store` joins links to lists."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

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


async def upsert_link(connection: AsyncConnection, file_id: FileId, link: Link) -> None:
    """Store the link in place of the stored one. The caller found that one unusable, or stores it again."""
    statement = insert(file_link).values(
        file_id=file_id, link_id=link.link_id, url=link.url, expires_at=link.expires_at
    )
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=[file_link.c.file_id],
        set_={name: new[name] for name in ("link_id", "url", "expires_at")},
        where=sa.or_(file_link.c.url != new.url, file_link.c.expires_at != new.expires_at),
    )
    await connection.execute(statement)


async def find_usable_link(connection: AsyncConnection, policy: LinkPolicy, file_id: FileId) -> Link | None:
    """The stored link of the file, if the policy allows it and it lives for another five minutes at least."""
    statement = sa.select(file_link.c.link_id, file_link.c.url, file_link.c.expires_at).where(
        file_link.c.file_id == file_id,
        file_link.c.expires_at > sa.func.now() + MINIMUM_LIFETIME,
        file_link.c.expires_at <= sa.func.now() + MAXIMUM_LIFETIME,
    )
    row = (await connection.execute(statement)).first()
    if row is None or not policy.allows(row.url):
        return None
    return Link(row.link_id, row.url, row.expires_at)


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


async def find_recent_refusal(connection: AsyncConnection, file_id: FileId) -> str | None:
    """Why a new link to the file was refused within REFUSAL_PERIOD; None if none was."""
    statement = sa.select(link_refusal.c.reason).where(
        link_refusal.c.file_id == file_id, link_refusal.c.refused_at > sa.func.now() - REFUSAL_PERIOD
    )
    return (await connection.execute(statement)).scalar()
