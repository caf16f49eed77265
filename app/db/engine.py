"""How this process reaches PostgreSQL: SQLAlchemy for the rooms, bare asyncpg for the two hot paths."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.settings import Settings

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 10.0
# A connection is refused quickly when the server is down; waiting for a free one must not take longer.
POOL_SECONDS = 3.0
# A list takes milliseconds; a buyer shall not wait for a database that hangs.
HOT_SECONDS = 5.0


def session_settings(application_name: str) -> dict[str, str]:
    """What every session asks for when it connects, which outranks the settings of a database or a role.

    UTC, because PostgreSQL subtracts days in the session's zone: where clocks go back, thirty days are not
    always 720 hours."""
    return {"application_name": application_name, "timezone": "UTC"}


def sqlalchemy_url(url: str) -> str:
    """The `postgresql://` address with the driver that SQLAlchemy shall use."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A pool of connections for SQLAlchemy statements, opened lazily and closed with the block."""
    engine = create_async_engine(
        sqlalchemy_url(settings.database_url.get_secret_value()),
        pool_size=settings.database_pool,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        # After a restart of the server one failed request per pooled connection would be one too many.
        pool_pre_ping=True,
        pool_recycle=1800,
        # Errors would quote what a statement was given, which may be personal.
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
            "server_settings": session_settings("portal"),
        },
    )
    try:
        yield engine
    finally:
        await engine.dispose()


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """Hot statements stand alone and leave nothing in their session; a reset doubles the round trips."""


@asynccontextmanager
async def open_hot_pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """A pool of bare asyncpg connections. Opened lazily: a process may start before its database."""
    pool = asyncpg.create_pool(
        settings.database_url.get_secret_value(),
        min_size=0,
        max_size=settings.database_pool,
        timeout=CONNECT_SECONDS,
        command_timeout=HOT_SECONDS,
        reset=_leave_as_it_is,
        server_settings=session_settings("portal-hot"),
    )
    await pool
    try:
        yield pool
    finally:
        try:
            await pool.close()
        finally:
            pool.terminate()
