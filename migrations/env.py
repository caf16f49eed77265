"""Runs migrations: one migrator at a time, and never in the way of traffic for long."""

import asyncio
import os
import re

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from app.access import audit_log
from app.db import buckets, leases
from app.db.engine import create_engine
from app.db.schema import metadata
from app.documents import store as documents
from app.idempotency import store as idempotency
from app.privacy import store as privacy
from app.tax import store as tax
from app.webhooks import inbox
from app.webhooks import store as sweeps

# Importing the rooms is what fills the metadata.
ROOMS = (buckets, leases, inbox, sweeps, documents, audit_log, idempotency, privacy, tax)
# Any number that nobody else uses; it stands for "migrating the portal".
MIGRATION_LOCK = 5_201_314_159
POLL_SECONDS = 0.2


# Of our tables, those that nobody is building just now. PostgreSQL docs, CREATE INDEX and REINDEX: what
# breaks off CONCURRENTLY leaves an invalid index, which costs each write and serves no read.
_INVALID_INDEXES = """
SELECT c.oid::regclass::text AS quoted, c.relname AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE NOT i.indisvalid AND t.relname = ANY (:tables) AND pg_table_is_visible(t.oid)
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
ORDER BY c.relname
"""


async def _take_turn(connection: AsyncConnection) -> None:
    """Wait until nobody else migrates. Each try is a statement of its own: whoever waited within one would
    hold a snapshot, for whose end CREATE INDEX CONCURRENTLY waits, and each would wait for the other."""
    tried = sa.select(sa.func.pg_try_advisory_lock(MIGRATION_LOCK))
    while not await connection.scalar(tried):
        await connection.rollback()
        await asyncio.sleep(POLL_SECONDS)
    # A migration that waits for a lock makes everybody behind it wait: rather fail and be run again.
    await connection.execute(sa.text("SET lock_timeout = '5s'"))
    await connection.execute(sa.text("SET statement_timeout = '10min'"))
    await connection.commit()


def _run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


async def _rebuild_invalid_indexes(connection: AsyncConnection) -> None:
    """What a crash has left of an index, of this migration or an earlier one, is built again."""
    found = await connection.execute(sa.text(_INVALID_INDEXES), {"tables": list(metadata.tables)})
    broken = found.all()
    await connection.commit()
    if not broken:
        return
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    # It waits for transactions that began before it, a backup's for example, and meanwhile nobody for it.
    await connection.execute(sa.text("SET lock_timeout = 0"))
    await connection.execute(sa.text("SET statement_timeout = 0"))
    for index in broken:
        # What REINDEX itself leaves has a name of its own, beside the index that it was to replace.
        verb = "DROP" if re.search(r"_cc(new|old)\d*$", index.name) else "REINDEX"
        await connection.execute(sa.text(f"{verb} INDEX CONCURRENTLY {index.quoted}"))


async def _migrate(url: str) -> None:
    # The advisory lock is the session's: it goes with the connection, however this ends.
    engine = create_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await _take_turn(connection)
            await connection.run_sync(_run)
            await _rebuild_invalid_indexes(connection)
    finally:
        await engine.dispose()


url = context.config.attributes.get("database_url") or os.environ["PORTAL_DATABASE_URL"]
asyncio.run(_migrate(url))
