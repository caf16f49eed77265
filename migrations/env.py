"""Runs migrations: one migrator at a time, and never in the way of traffic for long."""

import asyncio
import os

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.audit import store as audit
from app.customers import store as customers
from app.db import leases
from app.db.engine import session_settings, sqlalchemy_url
from app.db.schema import metadata
from app.documents import store as documents
from app.idempotency import store as idempotency
from app.webhooks import inbox
from app.webhooks import store as sweeps

# Importing the rooms is what fills the metadata.
ROOMS = (leases, inbox, sweeps, documents, audit, idempotency, customers)
# Any number that nobody else uses; it stands for "migrating the portal".
MIGRATION_LOCK = 5_201_314_159


def _run(connection: sa.Connection) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_lock(MIGRATION_LOCK)))
    # A migration that waits for a lock makes everybody behind it wait: rather fail and be run again.
    connection.execute(sa.text("SET lock_timeout = '5s'"))
    connection.execute(sa.text("SET statement_timeout = '10min'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


async def _migrate(url: str) -> None:
    # The advisory lock is the session's: it goes with the connection, however this ends.
    engine = create_async_engine(
        sqlalchemy_url(url),
        poolclass=NullPool,
        connect_args={"server_settings": session_settings("portal-migrate")},
    )
    async with engine.connect() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


url = context.config.attributes.get("database_url") or os.environ["PORTAL_DATABASE_URL"]
asyncio.run(_migrate(url))
