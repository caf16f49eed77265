"""The metadata of all tables, with predictable constraint names, and a check that a database has them."""

from typing import Any

from sqlalchemy import BindParameter, MetaData, literal, text
from sqlalchemy.ext.asyncio import AsyncConnection

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def inlined(value: int | str) -> BindParameter[Any]:
    """The value as a literal in the statement, not as a parameter.

    PostgreSQL may plan a prepared statement once for all values. Such a plan takes a LIMIT for a tenth of the
    table, and uses no partial index, because a value might not satisfy its condition.
    """
    return literal(value, literal_execute=True)


_COUNT_COLUMNS = text(
    """SELECT count(*) FROM unnest(CAST(:tables AS text[]), CAST(:names AS text[])) AS used (tab, col)
       JOIN pg_attribute ON attrelid = to_regclass(tab) AND attname = col AND NOT attisdropped"""
)


async def is_migrated(connection: AsyncConnection) -> bool:
    """Whether the database has each column that this version uses. A later version may have added more."""
    columns = [column for table in metadata.tables.values() for column in table.columns]
    found = await connection.execute(
        _COUNT_COLUMNS, {"tables": [c.table.name for c in columns], "names": [c.name for c in columns]}
    )
    return bool(found.scalar_one() == len(columns))
