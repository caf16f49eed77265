"""A sweep that an operator requested, and the scheduled jobs that run it."""

import signal
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.resources import Resources
from app.webhooks.sweep import sweep_if_due, sweep_now
from app.worker.handlers import HANDLERS
from tests.support.clock import eventually
from tests.support.events import kept_event_ids, operator_token, undelivered_events
from tests.support.portal import Portal, last_sweep, pass_time, running_scheduled_jobs
from tests.support.processes import running
from tests.support.sandbox import Sandbox


async def test_a_requested_sweep_survives_the_worker_that_began_it(
    resources: Resources, own_database: asyncpg.Connection
) -> None:
    await own_database.execute(
        """INSERT INTO sweep (requested_at, reaches_back_to, started_at)
           VALUES (now(), now() - interval '3 days', now())"""
    )
    await own_database.execute(
        """INSERT INTO sweep (started_at, finished_at, reaches_back_to, kind)
           VALUES (now(), now(), now() - interval '31 days', 'full')"""
    )
    assert await sweep_if_due(resources, HANDLERS) is not None
    row = await own_database.fetchrow("SELECT * FROM sweep WHERE requested_at IS NOT NULL")
    assert row["finished_at"] is not None
    assert row["error"] is None
    assert row["started_at"] - row["reaches_back_to"] >= timedelta(days=3)
    assert await own_database.fetchval("SELECT count(*) FROM sweep") == 2


async def test_a_worker_begins_a_sweep_that_an_operator_requested(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    ops = await operator_token(sandbox)
    asked = await portal.client.post("/ops/sweep", headers=ops, params={"days": 3})
    again = await portal.client.post("/ops/sweep", headers=ops, params={"days": 7})
    assert (asked.status_code, again.status_code) == (202, 202)
    assert asked.json()["id"] == again.json()["id"]
    assert again.json()["reachesBackTo"] < asked.json()["reachesBackTo"]
    assert asked.json()["startedAt"] is None
    async with running_scheduled_jobs(portal):
        sweep = await eventually(lambda: last_sweep(portal, ops))
    assert sweep["id"] == asked.json()["id"]
    assert sweep["error"] is None
    # On a fresh database it reads further back than requested: no sweep has covered that time.
    assert sweep["reachesBackTo"] < again.json()["reachesBackTo"]
    assert await database.fetchval("SELECT count(*) FROM sweep") == 1


@pytest.mark.proof
async def test_scheduled_jobs_go_on_after_a_failure(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    ops = await operator_token(sandbox)
    await sandbox.fault("status", status=403, method="GET", path="/events", times=1)
    async with running_scheduled_jobs(portal):
        failed = await eventually(lambda: last_sweep(portal, ops))
        assert failed["error"].startswith("Unauthorised")
        await pass_time(database, sandbox, 60)

        async def went_well() -> Any:
            sweep = await last_sweep(portal, ops)
            return sweep if sweep and sweep["error"] is None else None

        assert (await eventually(went_well))["id"] > failed["id"]


async def test_a_command_runs_its_own_sweep_and_leaves_requested_ones(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    (old,) = await undelivered_events(sandbox, 1)
    await pass_time(own_database, sandbox, timedelta(days=20).total_seconds())
    (young,) = await undelivered_events(sandbox, 1)
    await own_database.execute(
        """INSERT INTO sweep (started_at, finished_at, reaches_back_to, kind)
           VALUES (now(), now(), now() - interval '30 days', 'full');
           INSERT INTO sweep (requested_at, reaches_back_to, started_at)
           VALUES (now(), now() - interval '1 day', now());
           INSERT INTO sweep (requested_at, reaches_back_to) VALUES (now(), now() - interval '2 days')"""
    )
    finds = await sweep_now(resources, HANDLERS, timedelta(days=30))
    assert (finds.seen, finds.found) == (2, 2)
    assert await kept_event_ids(own_database) == {old, young}
    waiting = "SELECT count(*) FROM sweep WHERE requested_at IS NOT NULL AND finished_at IS NULL"
    assert await own_database.fetchval(waiting) == 2
    for left in (1, 0):
        assert await sweep_if_due(resources, HANDLERS) is not None
        assert await own_database.fetchval(waiting) == left
    assert await sweep_if_due(resources, HANDLERS) is None


@pytest.mark.proof
async def test_a_command_that_dies_leaves_its_sweep_to_a_worker(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    await sandbox.fault("delay", seconds=60, method="GET", path="/events", times=1)
    async with running("sweep", resources.settings) as command:

        async def is_asking() -> int:
            return await sandbox.count("GET /events")

        await eventually(is_asking)
        await command.end(signal.SIGKILL)
    await pass_time(own_database, sandbox, 60)
    assert await sweep_if_due(resources, HANDLERS) is not None
    (row,) = await own_database.fetch("SELECT * FROM sweep")
    assert (row["requested_at"] is not None, row["error"]) == (True, None)
    assert row["finished_at"] is not None


@pytest.mark.parametrize("params", [{"days": 0}, {"days": 31}, {"days": "x"}, {"since": "yesterday"}])
async def test_a_senseless_request_is_refused(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, params: dict[str, Any]
) -> None:
    answer = await portal.client.post("/ops/sweep", headers=await operator_token(sandbox), params=params)
    assert answer.status_code == 422
    assert await database.fetchval("SELECT count(*) FROM sweep") == 0


async def test_only_operators_may_request_a_sweep(portal: Portal, sandbox: Sandbox) -> None:
    answer = await portal.client.post("/ops/sweep", headers=await sandbox.token("ada"))
    assert answer.status_code == 403


async def test_the_command_line_sweeps_without_a_worker(
    resources: Resources, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    ids = await undelivered_events(sandbox, 4)
    async with running("sweep", resources.settings) as command:
        assert await command.wait() == 0
    assert await kept_event_ids(own_database) == ids
