"""Connects this process to PostgreSQL: SQLAlchemy for most statements, bare asyncpg for the busiest ones.

Services open connections and transactions and pass them to stores. They import the types of connections from
here, because only stores may import the libraries that run statements.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import asyncpg
from asyncpg import Pool
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.database_url import DatabaseUrl, UnusableDatabaseUrl
from app.settings import Settings

__all__ = [
    "POOL_SECONDS",
    "AsyncConnection",
    "AsyncEngine",
    "Pool",
    "RowMapping",
    "connect",
    "create_engine",
    "open_engine",
    "open_hot_pool",
]

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 10.0
# A server that is down refuses a connection quickly; the wait for a free connection must not take longer.
POOL_SECONDS = 3.0
# A list takes milliseconds; a buyer must not wait long for a database that hangs.
HOT_STATEMENT_SECONDS = 5.0
# A healthy server confirms a cancelled statement or a closed connection within milliseconds.
RELEASE_SECONDS = 0.1


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose `close` does not wait for a server that hangs."""

    async def close(self, **_: object) -> None:
        with suppress(TimeoutError):
            await super().close(timeout=RELEASE_SECONDS)


class _HotPool(Pool):  # type: ignore[misc]
    """A pool whose `release` does not wait for a server that hangs.

    asyncpg asks the server to cancel a statement that timed out, and its pool waits for the confirmation as
    long as a statement may take. This pool abandons the connection if the server does not confirm at once."""

    async def release(self, connection: object, **_: object) -> None:
        with suppress(TimeoutError):
            await super().release(connection, timeout=RELEASE_SECONDS)


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


async def _skip_reset(_: asyncpg.Connection) -> None:
    """The hot pool's statements change nothing in their session, and a reset would double the round trips."""


@asynccontextmanager
async def open_hot_pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool of bare asyncpg connections. It connects on first use: a process may start before PostgreSQL."""
    url = settings.database_url.get_secret_value()
    pool = _HotPool(
        connect=partial(connect, url, "portal-hot", command_timeout=HOT_STATEMENT_SECONDS),
        min_size=0,
        max_size=settings.database_pool,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        reset=_skip_reset,
        loop=asyncio.get_running_loop(),
        connection_class=_Connection,
        record_class=asyncpg.Record,
    )
    await pool
    try:
        yield pool
    finally:
        try:
            await pool.close()
        finally:
            pool.terminate()
