"""The databases of the benchmark: an empty one with the schema of this checkout for each part."""

import asyncio
from dataclasses import dataclass

import asyncpg

from bench import floors, processes
from devtools.embedded_postgres import EmbeddedPostgres

_TEMPLATE = "template"
_DATABASE = "portal"


@dataclass(frozen=True)
class Databases:
    """A PostgreSQL server with a migrated template."""

    server: EmbeddedPostgres

    def prepare(self) -> None:
        """Create the template, with the tables of the portal and of the floors."""
        self.server.recreate(_TEMPLATE)
        url = self.server.url(_TEMPLATE)
        processes.migrate(url)
        execute(url, floors.TABLES)

    def fresh(self) -> str:
        """The URL of an empty database. What an earlier call gave is dropped."""
        execute(self.server.url("postgres"), f'DROP DATABASE IF EXISTS "{_DATABASE}" WITH (FORCE)')
        execute(self.server.url("postgres"), f'CREATE DATABASE "{_DATABASE}" TEMPLATE "{_TEMPLATE}"')
        return self.server.url(_DATABASE)


def execute(url: str, *statements: str) -> None:
    """Run the statements one after the other, each in a transaction of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run())
