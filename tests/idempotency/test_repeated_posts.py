"""A POST with an Idempotency-Key is executed once, and each repeat gets the first answer."""

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.idempotency import routes, store
from app.idempotency.store import EXPIRED_BATCH_SIZE, LEASE_SECONDS
from app.ids import CustomerId
from app.resources import open_resources
from app.settings import Settings
from app.web.problems import Conflict, NotFound, RequestTimeout, ServiceUnavailable
from tests.support.clock import eventually
from tests.support.counted_routes import CountedWork, routers
from tests.support.portal import pass_time
from tests.support.route_app import client_of_routes
from tests.support.sandbox import Sandbox

Token = dict[str, str]
DAY = 24 * 3600.0


async def post_item(
    api: httpx.AsyncClient, token: Token, name: str = "lamp", key: str | None = "k1", **more: Any
) -> httpx.Response:
    headers = {**token, **({} if key is None else {"Idempotency-Key": key})}
    return await api.post("/v1/items", headers=headers, json={"name": name}, **more)


async def test_a_repeated_request_is_answered_again_and_not_done_again(
    api: httpx.AsyncClient, other_process: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    first = await post_item(api, ada)
    assert (first.status_code, first.json()) == (201, {"name": "lamp 1"})
    assert "Idempotency-Replayed" not in first.headers
    for process in (api, other_process):
        again = await post_item(process, ada)
        assert (again.status_code, again.content) == (201, first.content)
        for name in ("ETag", "Location", "Content-Type"):
            assert again.headers[name] == first.headers[name]
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert work.done == ["lamp"]


async def test_requests_without_a_key_and_other_methods_are_not_stored(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, database: asyncpg.Connection
) -> None:
    for _ in range(2):
        assert (await post_item(api, ada, key=None)).status_code == 201
        assert (await api.get("/v1/items", headers={**ada, "Idempotency-Key": "k1"})).status_code == 200
    assert work.done == ["lamp", "read"] * 2
    assert await database.fetchval("SELECT count(*) FROM idempotent_request") == 0


async def test_another_body_under_the_same_key_is_refused(
    api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    await post_item(api, ada)
    for other in ("lamb", "lamp and shade", ""):
        answer = await post_item(api, ada, name=other)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/header/Idempotency-Key"]
    assert work.done == ["lamp"]
    assert (await post_item(api, ada)).status_code == 201


SAME = {
    "other white space": b'{ "name" :\n "lamp" }',
    "other escapes": b'{"name":"l\\u0061mp"}',
    "a member twice": b'{"name":"shade","name":"lamp"}',
}


@pytest.mark.parametrize("case", SAME)
async def test_the_same_json_in_another_spelling_is_the_same_request(
    case: str, api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    await post_item(api, ada)
    headers = {**ada, "Idempotency-Key": "k1", "Content-Type": "application/json; charset=utf-8"}
    again = await api.post("/v1/items", headers=headers, content=SAME[case])
    assert (again.status_code, again.headers.get("Idempotency-Replayed")) == (201, "true")
    assert work.done == ["lamp"]


async def test_another_query_under_the_same_key_is_refused(
    api: httpx.AsyncClient, work: CountedWork, sandbox: Sandbox
) -> None:
    headers = {**await sandbox.token("ada", scopes=["portal:ops"]), "Idempotency-Key": "k1"}
    assert (await api.post("/ops/sweep?days=3&fast=1", headers=headers)).status_code == 204
    for other in ("", "?days=4&fast=1", "?days=3", "?days=3&fast="):
        answer = await api.post(f"/ops/sweep{other}", headers=headers)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/header/Idempotency-Key"]
    again = await api.post("/ops/sweep?fast=%31&days=3", headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert work.done == ["sweep"]


async def test_an_answer_that_an_older_release_has_kept_is_given_for_the_same_bytes(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, database: asyncpg.Connection
) -> None:
    first = await post_item(api, ada)
    body = b'{"name":"lamp"}'
    old = "UPDATE idempotent_request SET request_digest = NULL, body_digest = $1, body_size = $2"
    await database.execute(old, hashlib.sha256(body).digest(), len(body))
    headers = {**ada, "Idempotency-Key": "k1", "Content-Type": "application/json"}
    again = await api.post("/v1/items", headers=headers, content=body)
    assert (again.status_code, again.content) == (201, first.content)
    assert (await api.post("/v1/items", headers=headers, content=b'{"name": "lamp"}')).status_code == 422
    assert work.done == ["lamp"]


async def test_an_older_release_finds_the_digest_of_the_bytes_that_it_looks_for(
    api: httpx.AsyncClient, ada: Token, database: asyncpg.Connection
) -> None:
    body = b'{"name" : "lamp"}'
    headers = {**ada, "Idempotency-Key": "k1", "Content-Type": "application/json"}
    await api.post("/v1/items", headers=headers, content=body)
    row = await database.fetchrow("SELECT body_digest, body_size FROM idempotent_request")
    assert tuple(row) == (hashlib.sha256(body).digest(), len(body))


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


async def test_a_key_belongs_to_its_caller_and_its_path(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, sandbox: Sandbox
) -> None:
    grace = await sandbox.token("grace")
    await post_item(api, ada)
    assert (await post_item(api, grace)).json() == {"name": "lamp 2"}
    for customer_id in ("me", "ada"):
        headers = {**ada, "Idempotency-Key": "k1"}
        answer = await api.post(f"/v1/customers/{customer_id}/forget", headers=headers)
        assert "Idempotency-Replayed" not in answer.headers
    assert (await post_item(api, ada, key="k2")).json() == {"name": "lamp 5"}
    assert work.done == ["lamp", "lamp", "forget", "forget", "lamp"]


async def test_a_new_token_of_the_same_caller_gets_the_first_answer(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, sandbox: Sandbox
) -> None:
    await post_item(api, ada)
    assert (await post_item(api, await sandbox.token("ada", expiresIn=77))).status_code == 201
    assert work.done == ["lamp"]


@pytest.mark.parametrize("error", [Conflict("Sold out."), NotFound()], ids=["409", "404"])
async def test_a_refusal_by_the_route_is_replayed_word_for_word(
    error: Exception, api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    work.error = error
    first = await post_item(api, ada)
    work.error = None
    again = await post_item(api, ada)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.headers["Idempotency-Replayed"] == "true"
    assert work.done == ["lamp"]


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


async def test_a_token_without_the_scope_does_not_get_the_answer_of_one_that_has_it(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, sandbox: Sandbox
) -> None:
    operator = await sandbox.token("ada", scopes=["portal:ops"])
    for token, status in ((ada, 403), (operator, 204), (ada, 403), (operator, 204)):
        answer = await api.post("/ops/sweep", headers={**token, "Idempotency-Key": "k1"})
        assert answer.status_code == status
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert work.done == ["sweep"]


_KEYS = {"empty": "", "too long": "k" * 256, "a space": "a b", "not ASCII": "schlüssel", "a tab": "a\tb"}


@pytest.mark.parametrize("case", sorted(_KEYS))
async def test_a_key_is_visible_ascii(
    case: str, api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    headers = [*ada.items(), ("Idempotency-Key", _KEYS[case].encode())]
    answer = await api.post("/v1/items", headers=headers, json={"name": "lamp"})  # type: ignore[arg-type]  # bytes
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/header/Idempotency-Key"]
    assert work.done == []


async def test_two_keys_are_refused_and_the_longest_one_is_accepted(
    api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    headers = [*ada.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await api.post("/v1/items", headers=headers, json={"name": "lamp"})
    assert answer.status_code == 422
    assert work.done == []
    assert (await post_item(api, ada, key="~" * 255)).status_code == 201


async def test_a_route_without_a_body_notices_a_repeat_too(
    api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    async def forget(key: str, body: bytes) -> httpx.Response:
        headers = {**ada, "Idempotency-Key": key}
        return await api.post("/v1/customers/me/forget", headers=headers, content=body)

    for key, body in (("bare", b""), ("with-a-body", b"{}")):
        answers = [await forget(key, body) for _ in range(2)]
        assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true"]
        assert (await forget(key, b'{"other":1}')).status_code == 422
    assert work.done == ["forget", "forget"]


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


async def test_the_document_declares_the_key_on_every_idempotent_route(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            names = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
            assert ("Idempotency-Key" in names) == (method == "post"), path
            if method == "post":
                assert names["Idempotency-Key"]["required"] is False
                assert {"401", "409", "422"} <= set(operation["responses"])
