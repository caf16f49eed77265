"""Records each statement that the product sends, and explains how PostgreSQL runs it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import asyncpg
import sqlalchemy as sa

from app.db.hot_pool import HotPool
from app.db.leases import Leases
from app.resources import Resources
from tests.plans.large_database import TABLES

# PostgreSQL may plan a prepared statement once, without its values: it must be good both ways.
Mode = Literal["custom", "generic"]


@dataclass(frozen=True)
class Statement:
    """A statement as it was sent, with its values."""

    text: str
    values: tuple[Any, ...]


@dataclass
class StatementRecorder:
    """Replaces the hot pool and listens to SQLAlchemy's cursors: records each statement and runs it."""

    connection: asyncpg.Connection
    statements: list[Statement] = field(default_factory=list)

    def record(self, resources: Resources) -> Resources:
        """The same resources, with every statement recorded."""
        sa.event.listen(resources.engine.sync_engine, "before_cursor_execute", self._record_cursor)
        hot_pool = cast("HotPool", self)
        return replace(resources, hot_pool=hot_pool, leases=Leases(hot_pool))

    def _record_cursor(
        self, _: object, __: object, text: str, values: Any, ___: object, is_many: bool
    ) -> None:
        assert not is_many, "one set of values at a time can be explained"
        self.statements.append(Statement(text, tuple(values)))

    async def fetch(self, text: str, *values: Any) -> Any:
        self.statements.append(Statement(text, values))
        return await self.connection.fetch(text, *values)

    async def fetchrow(self, text: str, *values: Any) -> Any:
        self.statements.append(Statement(text, values))
        return await self.connection.fetchrow(text, *values)

    async def execute(self, text: str, *values: Any) -> Any:
        self.statements.append(Statement(text, values))
        return await self.connection.execute(text, *values)

    async def statements_of(self, expect: Callable[[], Awaitable[object]]) -> list[Statement]:
        """The statements that this call sends."""
        self.statements.clear()
        await expect()
        return list(self.statements)


@dataclass(frozen=True)
class Plan:
    """One statement's plan, as it ran."""

    nodes: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        read_whole = f", whole: {sorted(self.tables_read_whole)}" if self.tables_read_whole else ""
        return (
            f"{self.buffers} pages, {self.rows_read:.0f} rows, {self.rows_sorted:.0f} sorted, "
            f"by {sorted(self.indexes)}{read_whole}"
        )

    @property
    def indexes(self) -> frozenset[str]:
        return frozenset(node["Index Name"] for node in self.nodes if "Index Name" in node)

    @property
    def tables_read_whole(self) -> frozenset[str]:
        scans = (node for node in self.nodes if node["Node Type"].endswith("Seq Scan"))
        return frozenset(node["Relation Name"] for node in scans) & TABLES

    @property
    def buffers(self) -> int:
        """Pages touched, in the cache or on disk."""
        root = self.nodes[0]
        return int(root["Shared Hit Blocks"]) + int(root["Shared Read Blocks"])

    @property
    def rows_read(self) -> float:
        """Rows that scans have read, including those that a filter removed."""
        return sum(_looked_at(node) for node in self.nodes if "Scan" in node["Node Type"])

    @property
    def rows_sorted(self) -> float:
        sorts = (node for node in self.nodes if node["Node Type"] == "Sort")
        return max(
            (node["Actual Rows"] * node["Actual Loops"] for sort in sorts for node in sort["Plans"]),
            default=0,
        )


def _rows(node: dict[str, Any]) -> float:
    return float(node["Actual Rows"] * node["Actual Loops"])


def _looked_at(node: dict[str, Any]) -> float:
    removed = sum(count for name, count in node.items() if name.startswith("Rows Removed by"))
    return _rows(node) + float(removed * node["Actual Loops"])


async def explain(connection: asyncpg.Connection, statement: Statement, mode: Mode) -> Plan:
    """Run the statement once more, and roll it back."""
    given = f"({', '.join(map(_literal, statement.values))})" if statement.values else ""
    async with _rolled_back(connection):
        await connection.execute(
            f"SET LOCAL plan_cache_mode = 'force_{mode}_plan'; PREPARE probe AS {statement.text}"
        )
        found = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE probe {given}")
    (explained,) = json.loads(found)
    return Plan(tuple(_walk(explained["Plan"])))


@asynccontextmanager
async def _rolled_back(connection: asyncpg.Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()
        await connection.execute("DEALLOCATE probe")


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _literal(value: Any) -> str:
    return "NULL" if value is None else "'" + _text(value).replace("'", "''") + "'"


def _text(value: Any) -> str:
    """As PostgreSQL reads it, whatever the parameter's type."""
    match value:
        case bytes():
            return rf"\x{value.hex()}"
        case datetime():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds()} seconds"
        case list() | tuple():
            return "{" + ",".join("NULL" if one is None else json.dumps(_text(one)) for one in value) + "}"
        case dict():
            return json.dumps(value)
        case _:
            return str(value)
