"""A rate limit allows exactly its number of requests, however many processes serve them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from math import ceil
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from app.db import token_buckets
from tests.security.matrix import routes_of
from tests.support.callers import (
    PER_ADDRESS,
    PER_BUYER,
    Callers,
    new_address,
    new_buyer,
    refused_for,
    remaining,
)
from tests.support.clock import eventually
from tests.support.portal import Portal, build, pass_time, running_portal
from tests.support.sandbox import Sandbox

ROUTES = routes_of(build())
POLICY = f'"address";q={PER_ADDRESS};w=60, "buyer";q={PER_BUYER};w=60'


@pytest.fixture(scope="module")
async def limited_processes(
    database_url: str, sandbox_process: Sandbox
) -> AsyncIterator[tuple[Portal, Portal]]:
    limits = {"rate_limit_per_buyer": PER_BUYER, "rate_limit_per_address": PER_ADDRESS}
    origins = {"cors_origins": ("https://shop.example",)}
    async with (
        running_portal(database_url, sandbox_process.url, with_worker=False, **limits, **origins) as one,
        running_portal(database_url, sandbox_process.url, with_worker=False, **limits) as other,
    ):
        yield one, other


@pytest.fixture(autouse=True)
def _long_query_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may be slow to answer, and these tests are not about that time-out."""
    monkeypatch.setattr(token_buckets, "TAKE_SECONDS", 10.0)


@pytest.fixture
async def callers(
    limited_processes: tuple[Portal, Portal], sandbox: Sandbox, database: asyncpg.Connection
) -> Callers:
    """Both portals, and callers that are new to them."""
    return Callers(*limited_processes, sandbox)


async def test_a_limit_holds_exactly_for_all_processes_together(callers: Callers) -> None:
    token = await callers.sandbox.token(new_buyer())
    began = time.monotonic()
    requests = [
        callers.ask(portal, token) for portal in (callers.one, callers.other) for _ in range(PER_BUYER)
    ]
    statuses = Counter(answer.status_code for answer in await asyncio.gather(*requests))
    # Tokens that a process still holds are spent now.
    for portal in (callers.one, callers.other):
        while (await callers.ask(portal, token)).is_success:
            statuses[200] += 1
    flowed_in = ceil((time.monotonic() - began) * PER_BUYER / 60)
    assert PER_BUYER <= statuses[200] <= PER_BUYER + flowed_in
    assert set(statuses) == {200, 429}


async def test_one_buyer_does_not_use_up_what_another_has(callers: Callers) -> None:
    greedy, modest = [await callers.sandbox.token(new_buyer()) for _ in range(2)]
    assert refused_for(await callers.exhaust(callers.one, greedy)) == "buyer"
    answer = await callers.ask(callers.one, modest)
    assert (answer.status_code, remaining(answer)["buyer"]) == (200, PER_BUYER - 1)


async def test_all_tokens_of_a_buyer_count_together(callers: Callers) -> None:
    buyer = new_buyer()
    await callers.exhaust(callers.one, await callers.sandbox.token(buyer))
    another = await callers.sandbox.token(buyer, expiresIn=77)
    assert refused_for(await callers.ask(callers.one, another)) == "buyer"


async def test_an_address_has_a_limit_for_all_its_tokens_good_or_bad(callers: Callers) -> None:
    address = new_address()
    tokens = [await callers.sandbox.token(new_buyer()), {}, {"Authorization": "Bearer forged"}]
    requests = [callers.ask(callers.one, tokens[i % 3], address=address) for i in range(PER_ADDRESS)]
    statuses = Counter([answer.status_code for answer in await asyncio.gather(*requests)])
    assert set(statuses) == {200, 401}
    for token in (*tokens, await callers.sandbox.token(new_buyer())):
        for portal in (callers.one, callers.other):
            assert refused_for(await callers.ask(portal, token, address=address)) == "address"
    assert (await callers.ask(callers.one, tokens[0])).status_code == 200


async def test_an_unreadable_request_counts_for_its_address(callers: Callers) -> None:
    address, token = new_address(), await callers.sandbox.token(new_buyer())
    garbage: dict[str, Any] = {"path": "/v1/customers/me/tax-identifiers", "method": "POST", "content": b"{"}
    for expected in range(PER_ADDRESS - 1, PER_ADDRESS - 4, -1):
        answer = await callers.ask(callers.one, token, address=address, **garbage)
        assert answer.status_code in {400, 415, 422}
        assert remaining(answer)["address"] == expected


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:{0}:{1}::1", "2001:db8:{0}:{1}:ffff::2", True),
        ("2001:db8:{0}:{1}::1", "2001:db8:{0}:1{1}::1", False),
        ("::ffff:172.16.{2}.{3}", "172.16.{2}.{3}", True),
        ("::ffff:172.17.{2}.{3}", "::ffff:172.18.{2}.{3}", False),
        ("172.19.{2}.{3}", "172.20.{2}.{3}", False),
    ],
)
async def test_an_address_is_one_of_ipv4_or_a_network_of_ipv6(
    first: str, second: str, is_same: bool, callers: Callers
) -> None:
    unique = uuid4().bytes
    parts = (unique[:2].hex(), f"{unique[3]:02x}", unique[4], unique[5])
    await callers.ask(callers.one, {}, address=first.format(*parts))
    answer = await callers.ask(callers.one, {}, address=second.format(*parts))
    assert remaining(answer)["address"] == PER_ADDRESS - (2 if is_same else 1)


async def test_a_request_passes_after_the_stated_wait_and_not_before(
    callers: Callers, database: asyncpg.Connection
) -> None:
    address = new_address()
    refused = await callers.exhaust(callers.one, {}, address=address)
    seconds = int(refused.headers["Retry-After"])
    assert seconds == ceil(60 / PER_ADDRESS)
    # The other process has not refused anything yet, and asks PostgreSQL, whose clock is moved.
    await pass_time(database, callers.sandbox, seconds)
    assert (await callers.ask(callers.other, {}, address=address)).status_code == 401
    assert (await callers.ask(callers.other, {}, address=address)).status_code == 429


@pytest.mark.proof
async def test_the_process_that_refused_admits_again_when_the_time_has_come(callers: Callers) -> None:
    token = await callers.sandbox.token(new_buyer())
    refused = await callers.exhaust(callers.one, token)
    assert refused.headers["Retry-After"] == "1"

    async def is_admitted() -> bool:
        return (await callers.ask(callers.one, token)).is_success

    await eventually(is_admitted, within=1.5)


async def test_the_whole_limit_is_available_again_after_one_window(
    callers: Callers, database: asyncpg.Connection
) -> None:
    address = new_address()
    await callers.exhaust(callers.one, {}, address=address)
    await pass_time(database, callers.sandbox, 60)
    assert remaining(await callers.ask(callers.other, {}, address=address)) == {"address": PER_ADDRESS - 1}


async def test_every_answer_says_how_much_is_left(callers: Callers) -> None:
    address, token = new_address(), await callers.sandbox.token(new_buyer())
    (await callers.ask(callers.one, token, path="/v1/customers/me", method="PUT", json={})).raise_for_status()
    profile = await callers.ask(callers.one, token, path="/v1/customers/me", address=address)
    cached = {**token, "If-None-Match": profile.headers["ETag"]}
    answers = {
        200: profile,
        304: await callers.ask(callers.one, cached, path="/v1/customers/me", address=address),
        401: await callers.ask(callers.one, {}, address=address),
        404: await callers.ask(callers.one, token, path=f"/v1/documents/{uuid4()}", address=address),
        405: await callers.ask(callers.one, token, method="DELETE", address=address),
        422: await callers.ask(callers.one, token, path="/v1/documents?limit=0", address=address),
    }
    unknown = await callers.ask(callers.one, token, path="/v1/nothing", address=address)
    refused = await callers.exhaust(callers.one, token, address=address)
    assert {answer.status_code: answer for answer in answers.values()} == answers
    assert (unknown.status_code, refused.status_code) == (404, 429)
    for answer in (*answers.values(), unknown, refused):
        assert answer.headers.get_list("RateLimit-Policy") == [POLICY]
        assert len(answer.headers.get_list("RateLimit")) == 1
    left = [remaining(answer)["address"] for answer in (*answers.values(), unknown)]
    assert left == list(range(PER_ADDRESS - 1, PER_ADDRESS - 8, -1))
    # Each of these was the buyer's, and counted once.
    counted = [answers[status] for status in (200, 304, 404, 422)]
    assert [remaining(answer)["buyer"] for answer in counted] == list(range(PER_BUYER - 2, PER_BUYER - 6, -1))
    assert refused.headers["RateLimit"] == f'"address";r=0;t={refused.headers["Retry-After"]}'


async def test_a_frontend_of_another_origin_can_read_it(callers: Callers) -> None:
    origin = {"Origin": "https://shop.example"}
    shown = (await callers.ask(callers.one, origin)).headers["Access-Control-Expose-Headers"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(shown.split(", "))
    asking = {**origin, "Access-Control-Request-Method": "GET"}
    requests = await callers.ask(callers.one, asking, method="OPTIONS")
    assert (requests.status_code, "RateLimit" in requests.headers) == (200, False)


async def test_a_refusal_uses_up_no_idempotency_key(callers: Callers, database: asyncpg.Connection) -> None:
    token = await callers.sandbox.token(new_buyer())
    (await callers.ask(callers.one, token, path="/v1/customers/me", method="PUT", json={})).raise_for_status()
    post: dict[str, Any] = {
        "path": "/v1/customers/me/tax-identifiers",
        "method": "POST",
        "json": {"type": "de", "value": "DE123456789"},
    }
    once = {**token, "Idempotency-Key": str(uuid4())}
    await callers.exhaust(callers.one, token)
    await callers.sandbox.client.delete("/_sandbox/requests")
    assert refused_for(await callers.ask(callers.one, once, **post)) == "buyer"
    assert await database.fetchval("SELECT count(*) FROM idempotent_request") == 0
    assert (await callers.sandbox.get("/_sandbox/requests"))["calls"] == []
    await pass_time(database, callers.sandbox, 60)
    done = await callers.ask(callers.other, once, **post)
    assert (done.status_code, "Idempotency-Replayed" in done.headers) == (201, False)


@pytest.mark.proof
async def test_every_route_for_buyers_is_limited_and_no_other(
    own_database_url: str, sandbox: Sandbox
) -> None:
    once = {"rate_limit_per_buyer": 1, "rate_limit_per_address": 1}
    async with running_portal(own_database_url, sandbox.url, with_worker=False, **once) as portal:
        callers = Callers(portal, portal, sandbox)
        address, token = new_address(), await sandbox.token("ada", scopes=["portal:ops"])
        assert (await callers.ask(portal, token, address=address)).status_code == 200
        refused: dict[str, tuple[str | None, str | None]] = {}
        for route in ROUTES:
            method, template = route.split()
            path = template.replace("{", "").replace("}", "")
            for_address = await callers.ask(portal, {}, path=path, method=method, address=address)
            for_buyer = await callers.ask(portal, token, path=path, method=method)
            refused[route] = (refused_for(for_address), refused_for(for_buyer))
            is_limited = "RateLimit-Policy" in for_address.headers
            assert is_limited is path.startswith("/v1/"), route
    assert refused == {route: ("address", "buyer") if " /v1/" in route else (None, None) for route in ROUTES}


async def test_refusals_are_counted_by_the_limit_that_was_reached(callers: Callers) -> None:
    async def counted(by: str) -> float:
        text = (await callers.one.client.get("/metrics")).text
        lines = (line.rpartition(" ") for line in text.splitlines())
        return sum(float(n) for name, _, n in lines if name == f'portal_rate_limited_total{{by="{by}"}}')

    address = new_address()
    await callers.exhaust(callers.one, {}, address=address)
    before = await counted("address"), await counted("buyer")
    await callers.ask(callers.one, {}, address=address)
    assert (await counted("address"), await counted("buyer")) == (before[0] + 1, before[1])


async def test_the_table_reveals_neither_buyers_nor_addresses(
    callers: Callers, database: asyncpg.Connection
) -> None:
    address, buyer = new_address(), new_buyer()
    await callers.ask(callers.one, await callers.sandbox.token(buyer), address=address)
    rows = await database.fetch("SELECT * FROM rate_bucket")
    assert [len(row["digest"]) for row in rows] == [16, 16]
    everything = repr([tuple(row) for row in rows])
    assert address not in everything
    assert buyer not in everything
    logged = "SELECT relpersistence <> 'u' FROM pg_class WHERE relname = 'rate_bucket'"
    assert not await database.fetchval(logged)


async def test_no_request_is_limited_without_postgresql(sandbox: Sandbox) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    once = {"rate_limit_per_buyer": 1, "rate_limit_per_address": 1}
    async with running_portal(nowhere, sandbox.url, with_worker=False, **once) as portal:
        token = await sandbox.token(new_buyer())
        for _ in range(3):
            answer = await portal.get("/v1/orders", token)
            assert (answer.status_code, "RateLimit" in answer.headers) == (200, False)
            assert answer.headers["RateLimit-Policy"] == '"address";q=1;w=60, "buyer";q=1;w=60'
