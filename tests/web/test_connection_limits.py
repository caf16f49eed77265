"""Many slow or idle connections to `portal api` at once do not keep deliveries out."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field

import asyncpg
import pytest

from app.web import server, setup
from tests.support.clock import eventually
from tests.support.events import signed
from tests.support.portal import Portal, settings_for
from tests.support.processes import running_api
from tests.support.raw_http import WEBHOOK, get, post, raw_connection, send_and_receive, statuses
from tests.support.sandbox import Sandbox

pytestmark = [pytest.mark.proof, pytest.mark.alone]

SLOW_CLIENTS = 500
DELIVERIES = 150
PER_SECOND = 75
# Long enough for well-behaved clients on a busy machine, short enough for a test.
READ_SECONDS = 4.0
FEW_CONNECTIONS = 40

# Digital River waits 3,000 ms (docs, Webhooks best practices).
DELIVERY_SECONDS = 2.0
HEADS = (f"POST {WEBHOOK} HTTP/1.1\r\nHost: p\r\nA: ", "GET /v1/orders HTTP/1.1\r\nHost: p\r\nA: ")
BODIES = (
    post(WEBHOOK, *(f"{k}: {v}" for k, v in signed(b"x").items()), "Content-Length: 9000").decode(),
    post("/v1/customers/me", "Transfer-Encoding: chunked", body="2328\r\n").decode(),
    post("/v1/customers/me/payment-sources", "Content-Length: 9000").decode(),
)


def shorten_read_timeouts() -> None:
    server.HEAD_SECONDS = READ_SECONDS
    setup.JSON_BODY_SECONDS = READ_SECONDS


def allow_few_connections() -> None:
    server.MAX_CONNECTIONS = FEW_CONNECTIONS


@dataclass
class SlowClients:
    """Connections that send a byte now and then, and come back whenever they are cut off."""

    portal: Portal
    open: int = 0
    cut_off: int = 0
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def send_slowly(self, beginning: str) -> None:
        while not self.is_over.is_set():
            with contextlib.suppress(ConnectionError):
                await self._hold(beginning)
            self.cut_off += 1

    async def _hold(self, beginning: str) -> None:
        async with raw_connection(self.portal) as connection:
            self.open += 1
            sending = asyncio.create_task(self._send_bytes(connection.writer, beginning))
            try:
                await connection.everything()
            finally:
                sending.cancel()
                self.open -= 1

    async def _send_bytes(self, writer: asyncio.StreamWriter, beginning: str) -> None:
        writer.write(beginning.encode())
        while True:
            await asyncio.sleep(0.8)
            writer.write(b"x")


def delivery(number: int) -> bytes:
    """A signed event on a connection of its own."""
    body = json.dumps({"id": f"honest-{number}", "type": "order.updated"})
    fields = [f"{name}: {value}" for name, value in signed(body.encode()).items()]
    return post(WEBHOOK, *fields, f"Content-Length: {len(body)}", "Connection: close", body=body)


async def deliver(portal: Portal, count: int) -> list[float]:
    """Deliver this many events at a steady pace; how long each took. All must be taken."""
    seconds: list[float] = []

    async def one(number: int) -> None:
        began = time.monotonic()
        assert statuses(await send_and_receive(portal, delivery(number))) == [202]
        seconds.append(time.monotonic() - began)

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))
            await asyncio.sleep(1 / PER_SECOND)
    return sorted(seconds)


async def test_five_hundred_slow_clients_keep_no_delivery_out_and_are_closed_in_time(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    settings = settings_for(own_database_url, sandbox.url)
    async with running_api(settings, first=shorten_read_timeouts) as portal:
        slow_clients = SlowClients(portal)
        halves = (HEADS, BODIES)
        async with asyncio.TaskGroup() as tasks:
            for number in range(SLOW_CLIENTS):
                beginnings = halves[number % 2]
                tasks.create_task(slow_clients.send_slowly(beginnings[number // 2 % len(beginnings)]))

            async def are_here() -> bool:
                return slow_clients.open >= SLOW_CLIENTS * 0.95

            await eventually(are_here)
            seconds = await deliver(portal, DELIVERIES)
            slow_clients.is_over.set()
            began = time.monotonic()
        gone_after = time.monotonic() - began
        p99 = seconds[int(len(seconds) * 0.99)]
        print(f"{slow_clients.cut_off} slow clients cut off, the last after {gone_after:.1f} s")  # noqa: T201
        print(f"{len(seconds)} deliveries: median {seconds[len(seconds) // 2]:.3f} s, p99 {p99:.3f} s")  # noqa: T201
        assert p99 < DELIVERY_SECONDS
        assert gone_after < READ_SECONDS + server.DRAIN_SECONDS + 3
        assert slow_clients.cut_off >= SLOW_CLIENTS
        assert await own_database.fetchval("SELECT count(*) FROM webhook_event") == DELIVERIES


async def test_the_connection_that_has_idled_longest_is_closed_when_all_are_taken(
    own_database_url: str, sandbox: Sandbox
) -> None:
    order = await sandbox.order("ada")
    token = (await sandbox.token("ada"))["Authorization"]
    await sandbox.fault("delay", seconds=1.5, path="/orders/{id}")
    settings = settings_for(own_database_url, sandbox.url)
    async with (
        running_api(settings, first=allow_few_connections) as portal,
        contextlib.AsyncExitStack() as stack,
    ):
        waiting = await stack.enter_async_context(raw_connection(portal))
        await waiting.send(get(f"/v1/orders/{order['id']}/documents", f"Authorization: {token}"))

        async def is_asking() -> int:
            return await sandbox.count("GET /orders/{id}")

        await eventually(is_asking)
        slow_clients = [
            await stack.enter_async_context(raw_connection(portal)) for _ in range(2 * FEW_CONNECTIONS)
        ]
        for connection in slow_clients[FEW_CONNECTIONS:]:
            await connection.send(b"POST ")
        for number in range(FEW_CONNECTIONS):
            assert statuses(await send_and_receive(portal, delivery(number))) == [202]
        # Long before the time for a head is over.
        assert {await connection.everything() for connection in slow_clients[: FEW_CONNECTIONS // 2]} == {b""}
        assert statuses(await waiting.answer()) == [200], (
            "a request in progress is answered, however many connect"
        )


async def test_forged_deliveries_execute_no_statement_and_take_no_connection(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox
) -> None:
    async def activity() -> list[asyncpg.Record]:
        """Each connection of the API, with the moment its last statement began."""
        found: list[asyncpg.Record] = await own_database.fetch(
            "SELECT pid, query_start FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'portal%' ORDER BY pid"
        )
        return found

    body = b'{"id": "forged", "type": "order.invoice.created"}'
    async with running_api(settings_for(own_database_url, sandbox.url)) as portal:
        before = await activity()
        async with raw_connection(portal) as connection:
            for guess in range(300):
                forged = [f"{k}: {v}" for k, v in signed(body, secret=f"whs_guess_{guess}").items()]
                await connection.send(
                    post(WEBHOOK, *forged, f"Content-Length: {len(body)}", body=body.decode())
                )
                assert statuses(await connection.answer()) == [401]
        assert await activity() == before
        assert (await portal.client.post(WEBHOOK, content=body, headers=signed(body))).status_code == 202
        assert await activity() != before
