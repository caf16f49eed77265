"""A day of the sweep has 24 hours, also when PostgreSQL's time zone changes to or from summer time."""

import asyncio
from typing import Any

import asyncpg
import pytest
from alembic import command

from app.db import migrate
from app.db.notifications import listen
from app.resources import Resources
from app.webhooks.sweep import sweep_if_due
from app.worker.handlers import HANDLERS

# In Berlin the thirty days before it have an hour more.
AFTER_THE_CLOCKS_WENT_BACK = "2026-11-10 12:00+00"


@pytest.fixture
def own_database_url(new_database_url: str) -> str:
    """These tests replace its clock and its time zone."""
    return new_database_url


@pytest.fixture
async def berlin(own_database: asyncpg.Connection) -> asyncpg.Connection:
    """Sessions that are opened from now on are in Berlin, by the database and by the role, unless they ask
    for another zone."""
    await own_database.execute(
        f"""DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Europe/Berlin');
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET timezone = %L',
                           current_user, current_database(), 'Europe/Berlin');
            END $$;
            CREATE OR REPLACE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
            RETURN timestamptz '{AFTER_THE_CLOCKS_WENT_BACK}'"""
    )
    return own_database


async def test_a_full_sweep_is_known_as_one_after_the_clocks_went_back(
    berlin: asyncpg.Connection, resources: Resources
) -> None:
    assert await sweep_if_due(resources, HANDLERS) is not None
    assert await sweep_if_due(resources, HANDLERS) is None
    assert await berlin.fetchval("SELECT kind FROM sweep") == "full"


async def test_the_kind_of_a_sweep_is_stored_not_computed(
    berlin: asyncpg.Connection, resources: Resources
) -> None:
    await sweep_if_due(resources, HANDLERS)
    await berlin.execute("UPDATE sweep SET reaches_back_to = started_at - interval '719 hours'")
    assert await sweep_if_due(resources, HANDLERS) is None


async def test_every_session_is_in_utc_whatever_the_database_and_the_role_say(
    berlin: asyncpg.Connection,
    own_database_url: str,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = await asyncpg.connect(own_database_url)
    assert await session.fetchval("SHOW timezone") == "Europe/Berlin"
    await session.close()
    async with resources.engine.connect() as connection:
        assert (await connection.exec_driver_sql("SHOW timezone")).scalar() == "UTC"
    assert await resources.hot_pool.fetchval("SHOW timezone") == "UTC"
    listeners: list[asyncpg.Connection] = []
    connect = asyncpg.connect

    async def remembered(*args: Any, **options: Any) -> asyncpg.Connection:
        listeners.append(await connect(*args, **options))
        return listeners[-1]

    monkeypatch.setattr(asyncpg, "connect", remembered)
    async with listen(own_database_url, "any") as notified:
        await notified.wait()
        # More than one if the first connection was lost.
        assert {await listener.fetchval("SHOW timezone") for listener in listeners} == {"UTC"}


@pytest.mark.proof
async def test_migrations_run_in_utc(berlin: asyncpg.Connection, own_database_url: str) -> None:
    await berlin.execute(
        """CREATE TABLE zone (name text);
           CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
           'BEGIN INSERT INTO public.zone VALUES (current_setting(''timezone'')); END';
           CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()"""
    )
    # In a thread, because the migrations run a loop of their own.
    await asyncio.to_thread(command.downgrade, migrate.alembic_config(own_database_url), "-1")
    await asyncio.to_thread(migrate.upgrade, own_database_url)
    zones = await berlin.fetch("SELECT DISTINCT name FROM zone")
    assert [row["name"] for row in zones] == ["UTC"]
