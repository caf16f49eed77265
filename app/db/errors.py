"""Classifies the errors of PostgreSQL: which of them are outages, after which a later try may work."""

import ssl

import asyncpg
from sqlalchemy import exc as sql

from app.database_url import DatabaseUrl, UnusableDatabaseUrl

# All errors that a statement may raise. While SQLAlchemy connects, it does not wrap asyncpg's errors.
DATABASE_ERRORS = (
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
    # The server has closed an idle connection, and asyncpg has not processed the end of it yet.
    asyncpg.InternalClientError,
    # PostgreSQL refuses our login, or the database does not exist: an operator must repair it, not a caller.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # Too many connections, a full disk, or a replica that is not the primary yet.
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    sql.OperationalError,
    sql.InterfaceError,
    sql.TimeoutError,
)


def is_outage(error: BaseException) -> bool:
    """Whether the error or its cause is an outage of PostgreSQL, and not an invalid statement."""
    match error:
        case asyncpg.InterfaceError():
            # asyncpg uses this class for misuse and for closed connections and pools; only the text differs.
            return "clos" in str(error)
        case sql.DBAPIError() if error.connection_invalidated:
            return True
        case sql.DBAPIError() if (cause := getattr(error.orig, "__cause__", None)) is not None:
            return isinstance(error, _OUTAGES) or is_outage(cause)
        case OSError():
            # A failed connection can be any OSError; an OSError about a file has its name.
            return error.filename is None
        case _:
            return isinstance(error, _OUTAGES)


def describe_error(error: BaseException, url: str) -> str:
    """One line for an operator: what is wrong with PostgreSQL at this URL. It contains no secret."""
    try:
        address = DatabaseUrl.parse(url)
    except UnusableDatabaseUrl as unusable:
        return f"PORTAL_DATABASE_URL {unusable}"
    text = _describe(_driver_error(error), address.mode)
    return " ".join(f"PostgreSQL at {address.endpoints} {text}".split())


def _describe(error: BaseException, mode: str) -> str:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            text = f"does not let us in: {error.args[0]}"
        case asyncpg.InvalidCatalogNameError():
            text = f"has no such database: {error.args[0]}"
        case ssl.SSLCertVerificationError():
            text = f"cannot prove who it is (sslmode={mode}): {error.verify_message}"
        case ssl.SSLError():
            text = f"does not agree with us on TLS (sslmode={mode}): {error.reason}"
        case TimeoutError() | sql.TimeoutError():
            text = "does not answer in time"
        case OSError():
            text = f"cannot be reached: {error.strerror or error}"
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            text = "is not migrated: run `portal migrate`"
        case asyncpg.PostgresError():
            # Without the detail of the error, which may quote a row.
            text = f"refuses: {error.args[0]} ({type(error).__name__})"
        case _:
            text = f"cannot be used: {type(error).__name__}"
    return text


def _driver_error(error: BaseException) -> BaseException:
    """asyncpg's error, which SQLAlchemy wraps twice."""
    if isinstance(error, sql.DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error
