"""Which failures mean that PostgreSQL cannot be reached now, so that trying again later may help."""

import asyncpg
from sqlalchemy import exc as sql

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
