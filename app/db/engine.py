"""Connects this process to PostgreSQL: SQLAlchemy for most statements, bare asyncpg for the busiest ones.

Services open connections and transactions and pass them to stores. They import the types of connections from
here, because only stores may import the libraries that run statements.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.database_url import DatabaseUrl, UnusableDatabaseUrl
from app.db.hot_pool import POOL_SECONDS, RELEASE_SECONDS, HotPool
from app.settings import Settings

__all__ = [
    "AsyncConnection",
    "AsyncEngine",
    "RowMapping",
    "connect",
    "create_engine",
    "open_engine",
    "open_hot_pool",
]

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 10.0
# A list takes milliseconds; a buyer must not wait long for a database that hangs.
HOT_STATEMENT_SECONDS = 5.0


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose `close` does not wait for a server that hangs."""

    async def close(self, **_: object) -> None:
        with suppress(TimeoutError):
            await super().close(timeout=RELEASE_SECONDS)


async def connect(
    url: str, application_name: str, *, connection_class: type = _Connection, **options: Any
) -> asyncpg.Connection:
    """A bare connection; the pools open their connections with it too.

    Raises:
        ConnectionError: a file that the URL names cannot be used any more.
        asyncpg.PostgresError, OSError: PostgreSQL cannot be reached, or refuses the connection.
    """
    try:
        arguments = DatabaseUrl.parse(url).connect_arguments()
    except UnusableDatabaseUrl as error:
        raise ConnectionError(f"PORTAL_DATABASE_URL {error}") from None
    # This overrides the time zone of the database or the role. PostgreSQL subtracts days in that zone:
    # in a zone with summer time thirty days are not always 720 hours.
    session = {"application_name": application_name, "timezone": "UTC"}
    return await asyncpg.connect(
        **arguments,
        timeout=CONNECT_SECONDS,
        connection_class=connection_class,
        server_settings=session,
        **options,
    )


def create_engine(url: str, *, command_timeout: float | None = None, **options: Any) -> AsyncEngine:
    """SQLAlchemy's engine for this URL; `options` are passed to SQLAlchemy."""
    creator = partial(connect, url, "portal", command_timeout=command_timeout)
    return create_async_engine("postgresql+asyncpg://", async_creator=creator, **options)


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A pool of connections for SQLAlchemy. It connects on first use, and closes at the end of the block."""
    engine = create_engine(
        settings.database_url.get_secret_value(),
        command_timeout=STATEMENT_SECONDS,
        pool_size=settings.database_pool,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        # Without it, one request for each pooled connection would fail after a restart of the server.
        pool_pre_ping=True,
        pool_recycle=1800,
        # Errors would quote the parameters of a statement, which may be personal data.
        hide_parameters=True,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_hot_pool(settings: Settings) -> AsyncIterator[HotPool]:
    """The pool for the busiest statements. It connects on first use: PostgreSQL may start after a process."""
    url = settings.database_url.get_secret_value()
    pool = HotPool(
        partial(connect, url, "portal-hot", command_timeout=HOT_STATEMENT_SECONDS), settings.database_pool
    )
    try:
        yield pool
    finally:
        await pool.close()
