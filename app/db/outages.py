"""How PostgreSQL fails, and which of that means that it cannot be reached now: later it may work."""

import asyncpg
from sqlalchemy import exc as sql

# Whatever a statement may raise. SQLAlchemy lets asyncpg's own errors through while it connects.
FAILURES = (
    sql.SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_OUTAGES = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # The server has said good-bye to an idle connection, and its end has not arrived yet.
    asyncpg.InternalClientError,
    # Too many connections, a full disk; and a replica that has not become the primary yet.
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    sql.OperationalError,
    sql.InterfaceError,
    sql.TimeoutError,
)


def is_outage(error: BaseException) -> bool:
    """Whether this, or what it came from, is PostgreSQL being away; not a mistake in what it was asked."""
    match error:
        case asyncpg.InterfaceError():
            # asyncpg has one class for misuse and for closed connections and pools; only the text differs.
            return "clos" in str(error)
        case sql.DBAPIError() if error.connection_invalidated:
            return True
        case sql.DBAPIError() if (cause := getattr(error.orig, "__cause__", None)) is not None:
            return isinstance(error, _OUTAGES) or is_outage(cause)
        case OSError():
            # Connecting fails with many kinds of OSError; those about files name the file.
            return error.filename is None
        case _:
            return isinstance(error, _OUTAGES)
