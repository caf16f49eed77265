"""Several processes against one PostgreSQL, as in production."""

import asyncio
import json
import signal

import asyncpg
import httpx
import pytest

from tests.support.clock import eventually
from tests.support.events import signed
from tests.support.portal import Portal, pass_time, running_portal, settings_for
from tests.support.processes import running, running_api
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.proof

HOUR = 3600.0


async def test_duplicates_on_two_api_processes_lead_to_one_document_and_one_link(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    file_id = await sandbox.invoiced(await sandbox.order("ada"))
    event = (await sandbox.get("/events", type="order.invoice.created"))["data"][0]
    body = json.dumps(event).encode()
    settings = settings_for(own_database_url, sandbox.url)
    async with running_api(settings) as one, running_api(settings) as other, running("worker", settings):
        answers = await asyncio.gather(
            *(
                portal.client.post("/webhooks/digital-river", content=body, headers=signed(body))
                for portal in (one, other)
                for _ in range(50)
            )
        )
        assert {answer.status_code for answer in answers} == {202}
        assert [answer.json()["status"] for answer in answers].count("accepted") == 1
        await one.documents(await sandbox.token("ada"), 1)
    assert await own_database.fetchval("SELECT count(*) FROM webhook_event") == 1
    assert await own_database.fetchval("SELECT count(*) FROM document") == 1
    assert len((await sandbox.get("/file-links", fileId=file_id))["data"]) == 1


async def test_simultaneous_opens_on_two_processes_make_one_call(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    token = await sandbox.token("ada")
    settings = settings_for(own_database_url, sandbox.url)
    async with running_portal(own_database_url, sandbox.url) as one, running_api(settings) as other:
        one.trust(await sandbox.register_webhook(one.url))
        await sandbox.invoiced(await sandbox.order("ada"))
        (document,) = await one.documents(token, 1)
        await pass_time(own_database, sandbox, 2 * HOUR)
        before = await sandbox.count("POST /file-links")
        path = f"/v1/documents/{document['id']}/content"
        answers = await asyncio.gather(
            *(portal.get(path, token) for portal in (one, other) for _ in range(50))
        )
        assert {answer.status_code for answer in answers} == {303}
        assert len({answer.headers["Location"] for answer in answers}) == 1
        assert await sandbox.count("POST /file-links") == before + 1


async def test_a_request_whose_api_has_died_says_how_long_it_must_wait(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    settings = settings_for(own_database_url, sandbox.url)
    headers = {**await sandbox.token("ada"), "Idempotency-Key": "once"}
    await sandbox.fault("delay", seconds=5, method="POST", path="/customers/{id}", times=1)

    async def forget(api: Portal) -> httpx.Response:
        return await api.client.post("/v1/customers/me/forget", headers=headers)

    async with (
        running_api(settings, stop_with=signal.SIGKILL) as dying,
        running_api(settings) as other,
    ):
        await dying.get("/v1/customers/me", headers)
        first = asyncio.create_task(forget(dying))

        async def is_stopping() -> int:
            return await sandbox.count("POST /customers/{id}")

        await eventually(is_stopping)
        dying.stop()
        with pytest.raises(httpx.HTTPError):
            await first
        refused = await forget(other)
        assert refused.status_code == 409
        wait = int(refused.headers["Retry-After"])
        assert 0 < wait <= 30
        await pass_time(own_database, sandbox, wait)
        assert (await forget(other)).status_code == 200


async def test_an_api_that_stops_answers_the_requests_it_has_accepted(
    own_database_url: str, sandbox: Sandbox
) -> None:
    settings = settings_for(own_database_url, sandbox.url)
    order = await sandbox.order("ada")
    token = await sandbox.token("ada")
    await sandbox.fault("delay", seconds=1, path="/orders/{id}")
    async with running_api(settings) as api:
        asking = asyncio.create_task(api.get(f"/v1/orders/{order['id']}/documents", token))

        async def is_asking() -> int:
            return await sandbox.count("GET /orders/{id}")

        await eventually(is_asking)
        api.stop()
        assert (await asking).status_code == 200
