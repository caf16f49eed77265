"""PostgreSQL hangs: connections stay open without answers, and the API still answers in time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from app.db.engine import HOT_STATEMENT_SECONDS
from app.db.hot_pool import HotPool
from app.ops.health import READY_SECONDS
from devtools.embedded_postgres import EmbeddedPostgres
from tests.support.clock import eventually
from tests.support.events import invoice_event
from tests.support.portal import Portal, running_portal
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.proof

# Digital River docs, Webhooks best practices.
DIGITAL_RIVER_WAITS = 3.0
POOL = 4
# More than writers and connections.
BURST = 20


@contextmanager
def frozen(server: EmbeddedPostgres) -> Iterator[None]:
    """Stopped as a machine stops that swaps, or whose disk hangs: the kernel still takes connections."""
    everyone = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    for process in everyone:
        process.suspend()
    try:
        yield
    finally:
        for process in everyone:
            process.resume()


async def deliver_timed(portal: Portal, count: int) -> list[tuple[httpx.Response, float]]:
    """So many deliveries at once, and what each of them took."""

    async def one() -> tuple[httpx.Response, float]:
        began = time.monotonic()
        answer = await portal.deliver(invoice_event())
        return answer, time.monotonic() - began

    return await asyncio.gather(*(one() for _ in range(count)))


async def require_in_time(portal: Portal, count: int) -> None:
    answers = await deliver_timed(portal, count)
    assert {answer.status_code for answer, _ in answers} == {503}
    assert all("Retry-After" in answer.headers for answer, _ in answers)
    assert max(seconds for _, seconds in answers) < DIGITAL_RIVER_WAITS


async def require_recovery(portal: Portal) -> None:
    async def is_accepted() -> bool:
        return (await portal.deliver(invoice_event())).status_code == 202

    await eventually(is_accepted)


@pytest.fixture
async def portal(server: EmbeddedPostgres, sandbox: Sandbox) -> AsyncIterator[Portal]:
    """A portal of its own, which has not asked that server for anything yet."""
    async with running_portal(
        server.url("portal"), sandbox.url, with_worker=False, database_pool=POOL
    ) as portal:
        yield portal


async def test_a_webhook_is_answered_in_time_when_its_first_connection_hangs(
    server: EmbeddedPostgres, portal: Portal
) -> None:
    with frozen(server):
        # Then once more: this request finds the connections that the others have left hanging.
        await require_in_time(portal, BURST)
        await require_in_time(portal, 1)
    await require_recovery(portal)


async def test_a_webhook_is_answered_in_time_when_a_connection_hangs_that_has_served(
    server: EmbeddedPostgres, portal: Portal
) -> None:
    assert {answer.status_code for answer, _ in await deliver_timed(portal, BURST)} == {202}
    with frozen(server):
        await require_in_time(portal, BURST)
        await require_in_time(portal, 1)
    await require_recovery(portal)


async def test_a_webhook_is_answered_in_time_when_buyers_hold_all_connections(
    server: EmbeddedPostgres, portal: Portal, sandbox: Sandbox
) -> None:
    token = await sandbox.token("ada")
    assert (await portal.get("/v1/documents", token)).is_success
    with frozen(server):
        reads = [asyncio.create_task(portal.get("/v1/documents", token)) for _ in range(3 * POOL)]
        assert portal.app is not None
        pool: HotPool = portal.app.state.resources.hot_pool

        async def are_all_taken() -> bool:
            return bool(pool.idle == 0)

        await eventually(are_all_taken)
        for _ in range(3):
            await require_in_time(portal, 10)
        answers = await asyncio.gather(*reads)
    assert {answer.status_code for answer in answers} == {503}
    await require_recovery(portal)


async def test_a_delivery_whose_sender_has_gone_leaves_its_connection_to_others(
    server: EmbeddedPostgres, portal: Portal
) -> None:
    await require_recovery(portal)
    with frozen(server):
        impatient = [asyncio.create_task(portal.deliver(invoice_event())) for _ in range(20)]
        await asyncio.wait(impatient, timeout=0.1)
        for one in impatient:
            one.cancel()
        await asyncio.gather(*impatient, return_exceptions=True)
        await require_in_time(portal, 10)
    await require_recovery(portal)


@pytest.mark.parametrize(
    ("path", "seconds"), [("/v1/documents", HOT_STATEMENT_SECONDS), ("/health/ready", READY_SECONDS)]
)
async def test_a_read_does_not_wait_for_an_abandoned_query(
    path: str, seconds: float, server: EmbeddedPostgres, portal: Portal, sandbox: Sandbox
) -> None:
    token = await sandbox.token("ada")
    assert (await portal.get(path, token)).is_success
    with frozen(server):
        began = time.monotonic()
        assert (await portal.get(path, token)).status_code == 503
        assert time.monotonic() - began < seconds + 1
