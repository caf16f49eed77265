"""Retention deletes expired rows in batches, and keeps the rows that a promise needs."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.ops import retention, retention_store
from app.ops.retention import BODY_RETENTION, prune_if_free
from app.resources import Resources, open_resources
from app.webhooks import inbox
from tests.support.portal import Portal, pass_time, settings_for
from tests.support.sandbox import Sandbox

DAY = 86400.0


@pytest.fixture
def own_database_url(new_database_url: str) -> str:
    """These tests add tables and triggers, and fill the tables for the planner."""
    return new_database_url


@pytest.fixture
async def resources(own_database_url: str, sandbox: Sandbox) -> AsyncIterator[Resources]:
    async with open_resources(settings_for(own_database_url, sandbox.url)) as opened:
        yield opened


async def prune(resources: Resources) -> int:
    return await prune_if_free(resources.engine, resources.leases)


async def keep_events(
    database: asyncpg.Connection, count: int, state: str, *, days_ago: float, finished: float
) -> None:
    await database.execute(
        """INSERT INTO webhook_event (id, type, state, origin, body, received_at, finished_at)
           SELECT gen_random_uuid()::text, 't', $1, 'webhook', '{}',
                  now() - make_interval(secs => $2), now() - make_interval(secs => $3)
           FROM generate_series(1, $4)""",
        state,
        days_ago * DAY,
        finished * DAY,
        count,
    )


async def test_handled_events_are_deleted_after_45_days_and_all_others_stay(
    resources: Resources, own_database: asyncpg.Connection
) -> None:
    await keep_events(own_database, 3, "done", days_ago=45.1, finished=45.1)
    await keep_events(own_database, 2, "ignored", days_ago=45.1, finished=45.1)
    await keep_events(own_database, 1, "done", days_ago=44.9, finished=44.9)
    await keep_events(own_database, 1, "buried", days_ago=300, finished=300)
    await keep_events(own_database, 1, "pending", days_ago=300, finished=300)
    # Revived yesterday.
    await keep_events(own_database, 1, "done", days_ago=300, finished=1)
    assert await prune(resources) == 5
    rows = await own_database.fetch("SELECT state FROM webhook_event ORDER BY state")
    assert [row["state"] for row in rows] == ["buried", "done", "done", "pending"]


PERSONAL = '{"email": "ada@example.com"}'


async def test_bodies_are_deleted_when_no_longer_needed_and_their_digests_stay(
    resources: Resources, own_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    await keep_events(own_database, 5, "done", days_ago=9, finished=7.1)
    await keep_events(own_database, 1, "done", days_ago=9, finished=6.9)
    await keep_events(own_database, 3, "ignored", days_ago=0, finished=0)
    await keep_events(own_database, 1, "buried", days_ago=47, finished=45.1)
    await keep_events(own_database, 1, "buried", days_ago=47, finished=44.9)
    await own_database.execute("UPDATE webhook_event SET body = $1, order_id = 'o1'", PERSONAL)
    await keep_events(own_database, 1, "pending", days_ago=300, finished=300)
    await own_database.execute("UPDATE webhook_event SET finished_at = NULL WHERE state = 'pending'")
    assert await prune(resources) == 0, "all these rows stay"
    digest = "body_digest = sha256(convert_to($1, 'UTF8'))"
    found = await own_database.fetch(
        f"""SELECT state, body IS NULL AS gone, coalesce({digest}, false) AS has_digest,
                   order_id IS NULL AS is_nameless, count(*)
            FROM webhook_event GROUP BY 1, 2, 3, 4 ORDER BY 1, 2""",
        PERSONAL,
    )
    assert [tuple(row) for row in found] == [
        ("buried", False, False, False, 1),
        ("buried", True, True, False, 1),
        ("done", False, False, False, 1),
        ("done", True, True, False, 5),
        ("ignored", True, True, True, 3),
        ("pending", False, False, True, 1),
    ]


async def test_deleting_bodies_uses_an_index(resources: Resources, own_database: asyncpg.Connection) -> None:
    await keep_events(own_database, 20_000, "done", days_ago=1, finished=1)
    await own_database.execute("ANALYZE webhook_event")
    for state, kept in BODY_RETENTION.items():
        statement = inbox.select_expired_bodies(state, kept, limit=1000).compile(
            dialect=resources.engine.dialect, compile_kwargs={"literal_binds": True}
        )
        plan = "\n".join(row[0] for row in await own_database.fetch(f"EXPLAIN {statement}"))
        assert "ix_webhook_event_kept_body" in plan, state
        assert "Sort" not in plan, state


@pytest.mark.proof
async def test_rows_are_deleted_in_small_batches_until_none_is_left(
    resources: Resources, own_database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 10)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    await own_database.execute(
        """CREATE TABLE deleted_at_once (rows bigint);
           CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN INSERT INTO public.deleted_at_once SELECT count(*) FROM gone; RETURN NULL; END';
           CREATE TRIGGER note AFTER DELETE ON webhook_event REFERENCING OLD TABLE AS gone
           FOR EACH STATEMENT EXECUTE FUNCTION note()"""
    )
    await keep_events(own_database, 35, "done", days_ago=50, finished=50)
    assert await prune(resources) == 35
    batches = [row["rows"] for row in await own_database.fetch("SELECT rows FROM deleted_at_once")]
    assert batches == [10, 10, 10, 5]


@pytest.mark.proof
async def test_two_workers_do_not_prune_at_once(
    resources: Resources, own_database: asyncpg.Connection
) -> None:
    await keep_events(own_database, 1, "done", days_ago=50, finished=50)
    async with resources.leases.hold_if_free("prune", seconds=30):
        assert await prune(resources) == 0
    assert await prune(resources) == 1


@pytest.mark.proof
async def test_a_pruned_link_is_renewed_when_its_document_is_opened(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    assert portal.app is not None
    token = await sandbox.token("ada")
    await sandbox.invoiced(await sandbox.order("ada"))
    (document,) = await portal.documents(token, 1)
    await portal.settle(database)
    assert await prune(portal.app.state.resources) == 0, "a live link must stay"
    await pass_time(database, sandbox, 100 * DAY)
    # The link, its event, and what is remembered of the sweep; never the document.
    assert await prune(portal.app.state.resources) >= 2
    assert await database.fetchval("SELECT count(*) FROM file_link") == 0
    assert await database.fetchval("SELECT count(*) FROM webhook_event") == 0
    (still,) = (await portal.get("/v1/documents", token)).json()["data"]
    assert (still["id"], still["link"]) == (document["id"], None)
    opened = await portal.get(f"/v1/documents/{document['id']}/content", token)
    assert opened.status_code == 303


async def test_expired_short_lived_rows_are_deleted(
    resources: Resources, own_database: asyncpg.Connection
) -> None:
    await own_database.execute(
        """INSERT INTO idempotent_request (name, holder, valid_until) VALUES
               ('past', gen_random_uuid(), now() - interval '1 second'),
               ('live', gen_random_uuid(), now() + interval '1 minute');
           INSERT INTO lease (name, holder, held_until) VALUES
               ('past', gen_random_uuid(), now() - interval '25 hours'),
               ('live', gen_random_uuid(), now() + interval '1 minute');
           INSERT INTO order_check (order_id, invoice, credit_memo, checked_at) VALUES
               ('past', 'pending', 'pending', now() - interval '46 days'),
               ('live', 'pending', 'pending', now());
           INSERT INTO sweep (started_at, finished_at) VALUES
               (now() - interval '46 days', now() - interval '46 days'), (now(), now())"""
    )
    await prune(resources)
    for table, left in (("idempotent_request", 1), ("lease", 1), ("order_check", 1), ("sweep", 1)):
        assert await own_database.fetchval(f"SELECT count(*) FROM {table}") == left, table


@pytest.mark.proof
async def test_deleting_events_uses_an_index(resources: Resources, own_database: asyncpg.Connection) -> None:
    await keep_events(own_database, 20_000, "done", days_ago=1, finished=1)
    await own_database.execute("ANALYZE webhook_event")
    (events,) = (rule for rule in retention_store.RETENTION_RULES if rule.table.name == "webhook_event")
    statement = retention_store.select_expired(events, limit=1000).compile(
        dialect=resources.engine.dialect, compile_kwargs={"literal_binds": True}
    )
    plan = "\n".join(row[0] for row in await own_database.fetch(f"EXPLAIN {statement}"))
    assert "ix_webhook_event_received" in plan
    assert "Seq Scan" not in plan
