"""At a million rows every statement of the product touches few pages, found by an index."""

from collections.abc import AsyncIterator
from functools import partial
from typing import get_args

import asyncpg
import pytest

from app.db.schema import metadata
from app.resources import Resources, open_resources
from tests.plans.expectations import AROUND, DOCUMENTS, INBOX, Expectation
from tests.plans.large_database import TABLES, add_backlog, fill
from tests.plans.query_plans import Mode, Plan, StatementRecorder, explain
from tests.support.portal import settings_for


@pytest.fixture
def own_database_url(new_database_url: str) -> str:
    """These tests change the database's settings, and fill it with a million rows."""
    return new_database_url


@pytest.fixture
async def full_database_url(own_database_url: str, own_database: asyncpg.Connection) -> str:
    """As production sees it: without the tests' clock in the way of the planner."""
    name = await own_database.fetchval("SELECT current_database()")
    await own_database.execute(f'ALTER DATABASE "{name}" SET search_path = public')
    await fill(own_database_url)
    return own_database_url


@pytest.fixture
async def explain_connection(full_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(full_database_url, statement_cache_size=0)
    yield connection
    await connection.close()


# One test, because its database takes seconds to fill and the processes of a test run share none.
@pytest.mark.proof
@pytest.mark.timeout(180)
async def test_every_statement_keeps_its_index_at_a_million_rows(
    full_database_url: str, explain_connection: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    settings = settings_for(full_database_url, "http://127.0.0.1:1")
    async with open_resources(settings) as opened, opened.hot_pool.acquire() as connection:
        recorder = StatementRecorder(connection)
        look = partial(check, recorder, recorder.record(opened), explain_connection)
        for name, expected in {**INBOX, **DOCUMENTS, **AROUND}.items():
            with subtests.test(name):
                await look(expected)
        with subtests.test("prune events, the twentieth batch"):
            for _ in range(19):
                await INBOX["prune events"].call(opened)
            await look(INBOX["prune events"])
        await add_backlog(explain_connection)
        for name, expected in INBOX.items():
            with subtests.test(f"{name}, after an outage"):
                await look(expected)


async def check(
    recorder: StatementRecorder,
    resources: Resources,
    explain_connection: asyncpg.Connection,
    expected: Expectation,
) -> None:
    """Make the call, and check each statement's plan for its values and its plan for any values."""
    statements = await recorder.statements_of(partial(expected.call, resources))
    assert statements
    for mode in get_args(Mode):
        used: set[str] = set()
        for statement in statements:
            plan = await explain(explain_connection, statement, mode)
            what = f"{mode}: {plan}, for {statement.text}"
            assert not (plan.tables_read_whole - {"sweep"}), what
            assert plan.buffers <= expected.pages, what
            assert plan.rows_read <= expected.rows, what
            assert plan.rows_sorted <= expected.rows, what
            used |= plan.indexes
        assert expected.indexes <= used, f"{mode}: {sorted(used)}"


def test_every_table_that_grows_is_full_when_it_is_looked_at() -> None:
    """A plan over an empty table proves nothing. Fill a new table in `large_database.py`, or name it here."""
    short_lived = {"lease", "tax_identifier_replacement", "certificate_upload"}
    assert metadata.tables.keys() - TABLES == short_lived


def test_a_plan_names_tables_that_are_read_whole() -> None:
    scan = {
        "Node Type": "Parallel Seq Scan",
        "Relation Name": "document",
        "Actual Rows": 1,
        "Actual Loops": 2,
    }
    assert Plan(({**scan, "Rows Removed by Filter": 9},)).tables_read_whole == {"document"}
    assert Plan(({**scan, "Rows Removed by Filter": 9},)).rows_read == 20
