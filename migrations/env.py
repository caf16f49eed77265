"""Runs migrations: one process at a time, and without blocking traffic for long."""

import asyncio
import os
import re

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from app.db.engine import create_engine
from app.tables import metadata

# The key of the advisory lock: any number that no other program uses.
MIGRATION_LOCK = 5_201_314_159
POLL_SECONDS = 0.2


# Invalid indexes of our tables that are not being built now. PostgreSQL docs, CREATE INDEX and REINDEX: if a
# CONCURRENTLY statement is broken off, an invalid index remains, which slows each write and serves no read.
_INVALID_INDEXES = """
SELECT c.oid::regclass::text AS quoted, c.relname AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE NOT i.indisvalid AND t.relname = ANY (:tables) AND pg_table_is_visible(t.oid)
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
ORDER BY c.relname
"""


async def _take_turn(connection: AsyncConnection) -> None:
    """Wait until no other process migrates.

    Each try is a statement of its own. A statement that waits for the lock would hold a snapshot, and CREATE
    INDEX CONCURRENTLY in the other process waits for the end of all snapshots: a deadlock.
    """
    tried = sa.select(sa.func.pg_try_advisory_lock(MIGRATION_LOCK))
    while not await connection.scalar(tried):
        await connection.rollback()
        await asyncio.sleep(POLL_SECONDS)
    # While a migration waits for a lock, later statements queue behind it. So it fails, and is run again.
    await connection.execute(sa.text("SET lock_timeout = '5s'"))
    await connection.execute(sa.text("SET statement_timeout = '10min'"))
    await connection.commit()


def _run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


async def _rebuild_invalid_indexes(connection: AsyncConnection) -> None:
    """Build indexes again that a crash of this or an earlier migration left invalid."""
    found = await connection.execute(sa.text(_INVALID_INDEXES), {"tables": list(metadata.tables)})
    broken = found.all()
    await connection.commit()
    if not broken:
        return
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    # REINDEX waits for transactions that began before it, such as a backup, and blocks no other statement.
    await connection.execute(sa.text("SET lock_timeout = 0"))
    await connection.execute(sa.text("SET statement_timeout = 0"))
    for index in broken:
        # A REINDEX that was broken off leaves an index with such a suffix, beside the one it should replace.
        verb = "DROP" if re.search(r"_cc(new|old)\d*$", index.name) else "REINDEX"
        await connection.execute(sa.text(f"{verb} INDEX CONCURRENTLY {index.quoted}"))


async def _migrate(url: str) -> None:
    # The advisory lock belongs to the session: it ends with the connection, also after an error.
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
