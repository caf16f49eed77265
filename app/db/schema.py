"""One metadata for all tables, so that constraints have predictable names and alembic sees everything."""

from typing import Any

from sqlalchemy import BindParameter, MetaData, literal

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
