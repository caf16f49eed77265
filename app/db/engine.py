"""How this process reaches PostgreSQL: SQLAlchemy for most, bare asyncpg for the hot paths.

Services open connections and transactions and hand them to stores. They take the types for that from here,
because only stores may import the libraries that run statements.
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
# A connection is refused quickly when the server is down; waiting for a free one must not take longer.
POOL_SECONDS = 3.0
# A list takes milliseconds; a buyer shall not wait for a database that hangs.
HOT_STATEMENT_SECONDS = 5.0
# A server that lives confirms within milliseconds that it has stopped a statement, or says good-bye.
RELEASE_SECONDS = 0.1


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """Never waits for a server that hangs: it is closed politely, or soon."""

    async def close(self, **_: object) -> None:
        with suppress(TimeoutError):
            await super().close(timeout=RELEASE_SECONDS)


class _HotPool(Pool):  # type: ignore[misc]
    """Never waits for a server that hangs.

    asyncpg asks the server to stop a statement that was given up, and its pool waits for the answer as long
    as a statement may take. A connection whose server does not answer at once is abandoned instead."""

    async def release(self, connection: object, **_: object) -> None:
        with suppress(TimeoutError):
            await super().release(connection, timeout=RELEASE_SECONDS)


async def connect(
    url: str, application_name: str, *, connection_class: type = _Connection, **options: Any
) -> asyncpg.Connection:
    """A bare connection; the address means the same here as to the pools.

    Raises:
        ConnectionError: a file that the address names cannot be used any more.
        asyncpg.PostgresError, OSError: PostgreSQL cannot be reached, or refuses us.
    """
    try:
        where = DatabaseUrl.parse(url).connect_arguments()
    except UnusableDatabaseUrl as error:
        raise ConnectionError(f"PORTAL_DATABASE_URL {error}") from None
    # UTC outranks what a database or a role says: PostgreSQL subtracts days in the session's zone, and where
    # clocks go back, thirty days are not always 720 hours.
    session = {"application_name": application_name, "timezone": "UTC"}
    return await asyncpg.connect(
        **where,
        timeout=CONNECT_SECONDS,
        connection_class=connection_class,
        server_settings=session,
        **options,
    )


def create_engine(url: str, *, command_timeout: float | None = None, **options: Any) -> AsyncEngine:
    """SQLAlchemy's engine for this address, with its own `options`."""
    creator = partial(connect, url, "portal", command_timeout=command_timeout)
    return create_async_engine("postgresql+asyncpg://", async_creator=creator, **options)


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A pool of connections for SQLAlchemy statements, opened lazily and closed with the block."""
    engine = create_engine(
        settings.database_url.get_secret_value(),
        command_timeout=STATEMENT_SECONDS,
        pool_size=settings.database_pool,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        # After a restart of the server one failed request per pooled connection would be one too many.
        pool_pre_ping=True,
        pool_recycle=1800,
        # Errors would quote what a statement was given, which may be personal.
        hide_parameters=True,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


async def _skip_reset(_: asyncpg.Connection) -> None:
    """Hot statements stand alone and leave nothing in their session; a reset doubles the round trips."""


@asynccontextmanager
async def open_hot_pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool of bare asyncpg connections. Opened lazily: a process may start before its database."""
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
