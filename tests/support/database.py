"""The databases of the tests: copies of one migrated template, with a clock that tests can move."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import sqlalchemy as sa

from app.db import migrate
from app.tables import metadata

TEMPLATE = "portal_template"
# Less than the time-out of a test, which may be waiting for it.
SERVER_SECONDS = 50.0

# A clock for tests: `now()` with a shift, found before PostgreSQL's own by the search path below.
CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.shift (by interval NOT NULL);
INSERT INTO clock.shift VALUES ('0');
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    RETURN pg_catalog.now() + (SELECT by FROM clock.shift);
"""


EMPTY = "".join(f"DELETE FROM {table.name};" for table in metadata.sorted_tables) + (
    "UPDATE clock.shift SET by = '0'"
)

CUT_OTHER_CONNECTIONS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def _with_database(url: str, database: str) -> str:
    return sa.make_url(url).set(database=database).render_as_string(hide_password=False)


def make_template(server_url: str) -> None:
    """The migrated database that tests copy, with a clock that they can move."""
    asyncio.run(_recreate(server_url, TEMPLATE))
    template = _with_database(server_url, TEMPLATE)
    migrate.upgrade(template)
    asyncio.run(run_script(template, CLOCK))


def announced_address(place: Path) -> str:
    """What xdist's controller writes there as soon as the server is ready."""
    deadline = time.monotonic() + SERVER_SECONDS
    while not place.exists():
        assert time.monotonic() < deadline, "the controller has started no server"
        time.sleep(0.01)
    return place.read_text()


async def make_logins_cheap(server_url: str) -> None:
    """Hash the password once for each login and not 4,096 times, which costs a third of a connection."""
    password = sa.make_url(server_url).password
    await run_script(server_url, f"SET scram_iterations = 1; ALTER ROLE CURRENT_USER PASSWORD '{password}'")


async def _recreate(url: str, database: str, template: str = "template0") -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        # All of the portal's times are the database's now(); here it is looked for in `clock` first.
        await connection.execute(f'ALTER DATABASE "{database}" SET search_path = public, clock, pg_catalog')
    finally:
        await connection.close()


@asynccontextmanager
async def copy_of_template(server_url: str) -> AsyncIterator[str]:
    """A database of its own for the block, with the tables of the template."""
    name = f"portal_test_{uuid4().hex}"
    await _recreate(server_url, name, TEMPLATE)
    yield _with_database(server_url, name)
    await run_script(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def run_script(url: str, script: str) -> None:
    """Run these statements on a connection of their own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()
