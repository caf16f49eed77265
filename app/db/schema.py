"""One metadata for all tables, which gives constraints predictable names; whether a database has them all."""

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
    """The value as text in the statement. PostgreSQL may plan a prepared statement once, for all values:
    then it takes a limit for a tenth of the table, and no partial index for certain to hold the rows."""
    return literal(value, literal_execute=True)


_COUNT_COLUMNS = text(
    """SELECT count(*) FROM unnest(CAST(:tables AS text[]), CAST(:names AS text[])) AS used (tab, col)
       JOIN pg_attribute ON attrelid = to_regclass(tab) AND attname = col AND NOT attisdropped"""
)


async def is_migrated(connection: AsyncConnection) -> bool:
    """Whether every column is there that this version uses. More may be there: the next version's."""
    columns = [column for table in metadata.tables.values() for column in table.columns]
    found = await connection.execute(
        _COUNT_COLUMNS, {"tables": [c.table.name for c in columns], "names": [c.name for c in columns]}
    )
    return bool(found.scalar_one() == len(columns))
