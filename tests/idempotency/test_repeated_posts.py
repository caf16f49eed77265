"""A POST with an Idempotency-Key is executed once, and each repeat gets the first answer."""

import hashlib

import asyncpg
import httpx
import pytest

from app.web.problems import Conflict, NotFound
from tests.support.counted_routes import CountedWork, Token, post_item
from tests.support.sandbox import Sandbox

DAY = 24 * 3600.0


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


async def test_the_document_declares_the_key_on_every_idempotent_route(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            names = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
            assert ("Idempotency-Key" in names) == (method == "post"), path
            if method == "post":
                assert names["Idempotency-Key"]["required"] is False
                assert {"401", "409", "422"} <= set(operation["responses"])
