"""PostgreSQL stops and starts: the API answers 503 meanwhile, and recovers by itself."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from devtools.embedded_files import EmbeddedPostgresError
from devtools.embedded_postgres import EmbeddedPostgres
from tests.support.clock import TIMEOUT_SECONDS, eventually
from tests.support.portal import running_portal
from tests.support.sandbox import Sandbox
from tests.support.tcp_relay import pour, running_relay

pytestmark = pytest.mark.proof


async def test_a_stopped_database_is_503_and_a_started_one_is_found_again(
    server: EmbeddedPostgres, sandbox: Sandbox
) -> None:
    async with running_portal(server.url("portal"), sandbox.url) as portal:
        portal.trust(await sandbox.register_webhook(portal.url))
        token = await sandbox.token("ada")
        await sandbox.invoiced(await sandbox.order("ada"))
        (document,) = await portal.documents(token, 1)

        server.stop()
        for path in ("/v1/documents", f"/v1/documents/{document['id']}/content"):
            answer = await portal.get(path, token)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:portal:problem:unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        refused = await portal.deliver({"id": "e1", "type": "order.updated"})
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert (await portal.client.get("/health/ready")).status_code == 503
        assert (await portal.client.get("/health/live")).status_code == 200
        # An invoice is issued while PostgreSQL is down; Digital River repeats the delivery.
        await sandbox.invoiced(await sandbox.order("ada"))

        server.start()

        async def is_ready() -> bool:
            return (await portal.client.get("/health/ready")).is_success

        await eventually(is_ready)
        await portal.documents(token, 2)
        assert (await portal.deliver({"id": "e1", "type": "order.updated"})).json()["status"] == "accepted"


async def test_a_connection_that_the_server_has_just_ended_is_503(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    said_goodbye = asyncio.Event()

    async def lag(server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """The connection closes long after the server's last message."""
        await pour(server, client)
        said_goodbye.set()
        await asyncio.sleep(TIMEOUT_SECONDS)

    real = make_url(own_database_url)
    async with AsyncExitStack() as stack:
        relay = running_relay(lambda: asyncio.open_connection(real.host, real.port), lag)
        near = real.set(host="127.0.0.1", port=await stack.enter_async_context(relay))
        url = near.render_as_string(hide_password=False)
        portal = await stack.enter_async_context(running_portal(url, sandbox.url, with_worker=False))
        token = await sandbox.token("ada")
        assert (await portal.get("/v1/documents", token)).is_success
        await own_database.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
        await said_goodbye.wait()
        answer = await portal.get("/v1/documents", token)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:portal:problem:unavailable")


def test_a_second_start_fails_and_does_not_harm_the_first(server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(server.folder, durable=False)
    with pytest.raises(EmbeddedPostgresError, match="another process uses"):
        second.start()
    server.recreate("still_there")
