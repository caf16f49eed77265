"""The claim of an idempotency key: while its request runs, after a failure, and until its answer expires."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.idempotency import routes, store
from app.idempotency.store import EXPIRED_BATCH_SIZE, LEASE_SECONDS
from app.ids import CustomerId
from app.resources import open_resources
from app.settings import Settings
from app.web.problems import RequestTimeout, ServiceUnavailable
from tests.support.clock import eventually
from tests.support.counted_routes import CountedWork, Token, post_item, routers
from tests.support.portal import pass_time
from tests.support.route_app import client_of_routes
from tests.support.sandbox import Sandbox

DAY = 24 * 3600.0


async def test_a_request_during_the_first_one_is_a_conflict(
    api: httpx.AsyncClient, other_process: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    work.gate.clear()
    first = asyncio.create_task(post_item(api, ada))
    await work.started.wait()
    for process in (api, other_process):
        assert (await post_item(process, ada)).status_code == 409
    work.gate.set()
    assert (await first).status_code == 201
    assert (await post_item(other_process, ada)).content == (await first).content
    assert work.done == ["lamp"]


async def test_only_one_of_many_simultaneous_requests_is_executed(
    api: httpx.AsyncClient, other_process: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    answers = await asyncio.gather(*(post_item(process, ada) for process in (api, other_process) * 10))
    assert work.done == ["lamp"]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.text for answer in answers if answer.status_code == 201} == {'{"name":"lamp 1"}'}


@pytest.mark.parametrize(
    ("error", "status"),
    [(ServiceUnavailable(), 503), (RuntimeError("a mistake of ours"), 500), (RequestTimeout(), 408)],
)
async def test_the_key_is_free_again_after_a_temporary_failure(
    error: Exception, status: int, api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    work.error = error
    assert (await post_item(api, ada)).status_code == status
    work.error = None
    assert (await post_item(api, ada)).json() == {"name": "lamp 2"}


async def test_a_body_that_is_not_accepted_leaves_the_key_free_for_a_better_one(
    api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    headers = {**ada, "Idempotency-Key": "k1"}
    assert (await api.post("/v1/items", headers=headers, json={"nam": "lamp"})).status_code == 422
    assert (await api.post("/v1/items", headers=headers, content=b"{")).status_code in {400, 415, 422}
    assert (await post_item(api, ada)).status_code == 201


async def test_answers_are_kept_for_a_day(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    await post_item(api, ada)
    await pass_time(database, sandbox, DAY - 60)
    assert (await post_item(api, ada)).json() == {"name": "lamp 1"}
    await pass_time(database, sandbox, 120)
    assert (await post_item(api, ada, name="shade")).json() == {"name": "shade 2"}
    assert (await post_item(api, ada, name="shade")).json() == {"name": "shade 2"}


@pytest.mark.proof
async def test_a_process_that_dies_blocks_the_key_for_one_lease(
    api: httpx.AsyncClient,
    other_process: httpx.AsyncClient,
    work: CountedWork,
    ada: Token,
    database: asyncpg.Connection,
    sandbox: Sandbox,
) -> None:
    work.gate.clear()
    dying = asyncio.create_task(post_item(api, ada))
    await work.started.wait()
    dying.cancel()
    await asyncio.wait([dying])
    work.gate.set()
    early = await post_item(other_process, ada)
    assert early.status_code == 409
    assert 20 < int(early.headers["Retry-After"]) <= LEASE_SECONDS == 30
    await pass_time(database, sandbox, 20)
    late = await post_item(other_process, ada)
    assert late.status_code == 409
    assert int(late.headers["Retry-After"]) <= 10
    await pass_time(database, sandbox, int(late.headers["Retry-After"]))
    assert (await post_item(other_process, ada)).json() == {"name": "lamp 2"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "RENEWAL_SECONDS", 0.02)


@pytest.mark.proof
@pytest.mark.usefixtures("quick")
async def test_a_slow_request_keeps_its_claim(
    api: httpx.AsyncClient,
    other_process: httpx.AsyncClient,
    work: CountedWork,
    ada: Token,
    database: asyncpg.Connection,
    sandbox: Sandbox,
) -> None:
    work.gate.clear()
    slow = asyncio.create_task(post_item(api, ada))
    await work.started.wait()
    for _ in range(3):
        before = await database.fetchval("SELECT valid_until FROM idempotent_request")
        await pass_time(database, sandbox, LEASE_SECONDS - 10)

        async def is_prolonged(before: datetime = before) -> bool:
            until: datetime = await database.fetchval("SELECT valid_until FROM idempotent_request")
            return until >= before + timedelta(seconds=LEASE_SECONDS - 10)

        await eventually(is_prolonged)
        assert (await post_item(other_process, ada)).status_code == 409
    work.gate.set()
    assert (await slow).json() == {"name": "lamp 1"}
    assert (await post_item(other_process, ada)).headers["Idempotency-Replayed"] == "true"


@pytest.mark.usefixtures("quick")
async def test_a_request_that_lost_its_claim_is_stopped(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, database: asyncpg.Connection
) -> None:
    work.gate.clear()
    slow = asyncio.create_task(post_item(api, ada))
    await work.started.wait()
    await database.execute("UPDATE idempotent_request SET holder = gen_random_uuid()")
    assert (await slow).status_code == 503
    # The other one's claim stays.
    assert await database.fetchval("SELECT count(*) FROM idempotent_request") == 1


@pytest.mark.proof
@pytest.mark.usefixtures("quick")
async def test_a_request_that_cannot_renew_is_stopped_before_another_begins(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> bool:
        raise OSError("the database is away")

    monkeypatch.setattr(store, "renew_claim", fail)
    monkeypatch.setattr(routes, "LEASE_MARGIN_SECONDS", LEASE_SECONDS - 0.2)
    work.gate.clear()
    assert (await post_item(api, ada)).status_code == 503


async def test_a_request_that_lost_its_lease_does_not_overwrite_the_next_answer(
    api: httpx.AsyncClient,
    other_process: httpx.AsyncClient,
    work: CountedWork,
    ada: Token,
    database: asyncpg.Connection,
    sandbox: Sandbox,
) -> None:
    slow_gate = work.gate
    slow_gate.clear()
    slow = asyncio.create_task(post_item(api, ada))
    await work.started.wait()
    await pass_time(database, sandbox, LEASE_SECONDS + 1)
    work.gate = asyncio.Event()
    work.gate.set()
    assert (await post_item(other_process, ada)).json() == {"name": "lamp 2"}
    slow_gate.set()
    assert (await slow).json() == {"name": "lamp 1"}
    assert (await post_item(api, ada)).json() == {"name": "lamp 2"}


async def test_nothing_is_claimed_for_unauthenticated_requests(
    api: httpx.AsyncClient, work: CountedWork, sandbox: Sandbox, database: asyncpg.Connection
) -> None:
    for token in ({}, await sandbox.token("ada", expiresIn=-60), await sandbox.token("ada", audience="x")):
        assert (await post_item(api, token)).status_code == 401
    assert work.done == []
    assert await database.fetchval("SELECT count(*) FROM idempotent_request") == 0


async def test_expired_answers_are_deleted(
    api: httpx.AsyncClient, ada: Token, database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    for number in range(EXPIRED_BATCH_SIZE + 5):
        await post_item(api, ada, key=f"old-{number}")
    await pass_time(database, sandbox, DAY + 60)
    await post_item(api, ada, key="new-1")
    assert await database.fetchval("SELECT count(*) FROM idempotent_request") == 6
    await post_item(api, ada, key="new-2")
    assert await database.fetchval("SELECT count(*) FROM idempotent_request") == 2


async def test_a_forgotten_customer_leaves_no_stored_answers(
    api: httpx.AsyncClient,
    work: CountedWork,
    ada: Token,
    database: asyncpg.Connection,
    sandbox: Sandbox,
    settings: Settings,
) -> None:
    await post_item(api, ada, key="answered")
    await post_item(api, await sandbox.token("grace"))
    work.gate.clear()
    work.started.clear()
    running = asyncio.create_task(post_item(api, ada, key="running"))
    await work.started.wait()
    async with open_resources(settings) as resources:
        for _ in range(2):
            async with resources.engine.begin() as connection:
                await store.delete_responses(connection, CustomerId("ada"))
    work.gate.set()
    await running
    left = await database.fetch("SELECT customer_id FROM idempotent_request ORDER BY customer_id")
    assert [row["customer_id"] for row in left] == ["ada", "grace"]
    assert (await post_item(api, ada, key="running")).headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in (await post_item(api, ada, key="answered")).headers


async def test_no_request_is_executed_without_the_database(
    work: CountedWork, settings: Settings, ada: Token
) -> None:
    nowhere = settings.model_copy(update={"database_url": SecretStr("postgresql://x:x@127.0.0.1:1/x")})
    async with client_of_routes(nowhere, *routers(work)) as api:
        answer = await post_item(api, ada)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert work.done == []


async def test_an_answer_that_cannot_be_stored_is_still_sent(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, database: asyncpg.Connection
) -> None:
    work.gate.clear()
    first = asyncio.create_task(post_item(api, ada))
    await work.started.wait()
    await database.execute("ALTER TABLE idempotent_request RENAME TO gone")
    try:
        work.gate.set()
        assert (await first).status_code == 201
    finally:
        await database.execute("ALTER TABLE gone RENAME TO idempotent_request")
    assert (await post_item(api, ada)).status_code == 409
    assert work.done == ["lamp"]
