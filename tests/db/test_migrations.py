"""Migrations form one line, run in both directions, and end at the schema that the code expects."""

import ast
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import app
from app import tables
from app.db.migrate import alembic_config
from app.db.schema import metadata
from tests.support.clock import eventually
from tests.support.portal import running_portal, settings_for
from tests.support.processes import portal_command
from tests.support.sandbox import Sandbox

ROOT = Path(str(app.__file__)).parent.parent
REVISIONS = [
    script.revision
    for script in reversed(list(ScriptDirectory.from_config(alembic_config("")).walk_revisions()))
]

_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
ORDER BY table_name, column_name
"""
_INDEXES = """
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
ORDER BY indexdef
"""


_INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
_MIGRATORS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'portal' AND query ~ 'BEGIN|advisory_lock|ROLLBACK'
"""


@dataclass(frozen=True)
class MigratedDatabase:
    """An empty database for migrations, and its connection to look with."""

    url: str
    config: Config
    connection: asyncpg.Connection

    async def upgrade(self, revision: str) -> None:
        # In a thread, because the migrations run a loop of their own.
        await asyncio.to_thread(command.upgrade, self.config, revision)

    async def downgrade(self, revision: str) -> None:
        await asyncio.to_thread(command.downgrade, self.config, revision)

    async def schema(self) -> list[tuple[object, ...]]:
        return [tuple(row) for query in (_COLUMNS, _INDEXES) for row in await self.connection.fetch(query)]


@pytest.fixture
async def migrated(server_url: str) -> AsyncIterator[MigratedDatabase]:
    name = f"portal_migrations_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    server = await asyncpg.connect(server_url)
    await server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    yield MigratedDatabase(url, alembic_config(url), connection)
    await connection.close()
    await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await server.close()


@pytest.mark.proof
async def test_every_migration_can_be_reverted_and_applied_again(migrated: MigratedDatabase) -> None:
    before: list[tuple[object, ...]] = []
    for revision in REVISIONS:
        await migrated.upgrade(revision)
        after = await migrated.schema()
        assert after != before, f"{revision} changes nothing"
        await migrated.downgrade("-1")
        assert await migrated.schema() == before, f"{revision} leaves something behind"
        await migrated.upgrade(revision)
        assert await migrated.schema() == after
        before = after


@pytest.mark.proof
async def test_the_kind_of_old_sweeps_is_derived_from_hours_not_from_days(migrated: MigratedDatabase) -> None:
    await migrated.upgrade("0006")
    # Where there was an hour more in those thirty days.
    await migrated.connection.execute(
        """INSERT INTO sweep (started_at, reaches_back_to) VALUES
               ('2026-11-10 12:00+00', timestamptz '2026-11-10 12:00+00' - interval '720 hours'),
               ('2026-11-10 12:00+00', timestamptz '2026-11-10 12:00+00' - interval '719 hours'),
               ('2026-11-10 12:00+00', '2026-11-09 12:01+00'), (NULL, '2026-10-01 12:00+00');
           DO $$ BEGIN
               EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Europe/Berlin');
           END $$"""
    )
    await migrated.upgrade("0007")
    kinds = await migrated.connection.fetch("SELECT kind FROM sweep ORDER BY id")
    assert [row["kind"] for row in kinds] == ["full", "day", "recent", None]


@pytest.mark.proof
async def test_an_older_version_finds_a_body_where_it_was_deleted(migrated: MigratedDatabase) -> None:
    await migrated.upgrade("0007")
    await migrated.connection.execute(
        """INSERT INTO webhook_event (id, type, state, origin, body, body_digest) VALUES
               ('gone', 't', 'ignored', 'webhook', NULL, 'digest'),
               ('kept', 't', 'done', 'webhook', '[]', NULL)"""
    )
    await migrated.downgrade("0006")
    rows = await migrated.connection.fetch("SELECT id, body FROM webhook_event ORDER BY id")
    assert [tuple(row) for row in rows] == [("gone", "{}"), ("kept", "[]")]


async def test_the_migrations_end_at_the_schema_of_the_code(migrated: MigratedDatabase) -> None:
    await migrated.upgrade("head")
    await asyncio.to_thread(command.check, migrated.config)
    found = await migrated.connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {row["tablename"] for row in found} == {*metadata.tables, "alembic_version"}


@pytest.mark.proof
async def test_alembics_own_command_line_finds_nothing_to_generate(migrated: MigratedDatabase) -> None:
    """In a fresh interpreter, which knows no table but those that `migrations/env.py` imports."""
    await migrated.upgrade("head")
    alembic = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alembic",
        "check",
        cwd=ROOT,
        env={**os.environ, "PORTAL_DATABASE_URL": migrated.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await alembic.communicate()
    assert alembic.returncode == 0, output.decode()


@pytest.mark.proof
def test_every_module_that_defines_a_table_is_imported_by_tables() -> None:
    defining = {path for path in (ROOT / "app").rglob("*.py") if _defines_a_table(path)}
    assert {Path(str(module.__file__)) for module in tables.MODULES} == defining


def _defines_a_table(path: Path) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return any(ast.unparse(call).rpartition(".")[2] == "Table" for call in calls)


@pytest.mark.proof
async def test_a_table_that_no_migration_makes_is_noticed(migrated: MigratedDatabase) -> None:
    await migrated.upgrade("head")
    await migrated.connection.execute("DROP INDEX ix_document_customer")
    with pytest.raises(Exception, match="ix_document_customer"):
        await asyncio.to_thread(command.check, migrated.config)


@pytest.mark.proof
async def test_several_migrators_at_once_all_succeed(migrated: MigratedDatabase) -> None:
    # This test holds the lock until all migrators wait for it: see MIGRATION_LOCK.
    await migrated.connection.execute("SELECT pg_advisory_lock(5201314159)")
    settings = settings_for(migrated.url, "http://nowhere.test")
    migrators = [asyncio.create_task(portal_command(settings, "migrate")) for _ in range(3)]

    async def have_come() -> bool:
        return bool(await migrated.connection.fetchval(_MIGRATORS) == len(migrators))

    # Three processes begin at once.
    await eventually(have_come, within=40)
    await migrated.connection.execute("SELECT pg_advisory_unlock(5201314159)")
    ends = await asyncio.gather(*migrators)
    assert [end.status for end in ends] == [0, 0, 0], [end.errors for end in ends]
    assert await migrated.connection.fetchval(_INVALID) == 0
    await asyncio.to_thread(command.check, migrated.config)


@pytest.mark.proof
@pytest.mark.parametrize(
    "broken_off",
    [
        "CREATE INDEX CONCURRENTLY ix_file_link_expires_at ON file_link (expires_at)",
        "REINDEX INDEX CONCURRENTLY ix_file_link_expires_at",
    ],
)
async def test_an_index_that_a_crash_left_invalid_is_built_again(
    migrated: MigratedDatabase, broken_off: str
) -> None:
    await migrated.upgrade("head")
    before = await migrated.schema()
    if broken_off.startswith("CREATE"):
        await migrated.connection.execute("DROP INDEX ix_file_link_expires_at")
    builder = await asyncpg.connect(migrated.url)
    # The index waits for open transactions that wrote to the table.
    async with migrated.connection.transaction():
        await migrated.connection.execute("LOCK TABLE file_link IN ROW EXCLUSIVE MODE")
        building = asyncio.create_task(builder.execute(broken_off))
        pid = builder.get_server_pid()

        async def waits() -> bool:
            waiting = "SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted"
            return bool(await migrated.connection.fetchval(waiting, pid))

        await eventually(waits)
        await migrated.connection.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await building
    assert await migrated.connection.fetchval(_INVALID) == 1
    await migrated.upgrade("head")
    assert await migrated.connection.fetchval(_INVALID) == 0
    assert await migrated.schema() == before


def test_the_migrations_have_one_head() -> None:
    assert len(ScriptDirectory.from_config(alembic_config("")).get_heads()) == 1


async def test_an_api_is_not_ready_while_the_database_lacks_a_column_it_uses(
    own_database_url: str, sandbox: Sandbox
) -> None:
    config = alembic_config(own_database_url)
    async with running_portal(own_database_url, sandbox.url, with_worker=False) as portal:
        assert (await portal.client.get("/health/ready")).status_code == 200
        await asyncio.to_thread(command.downgrade, config, "0006")
        assert (await portal.client.get("/health/ready")).status_code == 503
        await asyncio.to_thread(command.upgrade, config, "head")
        assert (await portal.client.get("/health/ready")).status_code == 200
