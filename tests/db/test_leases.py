"""A lease has one holder at a time, also if many are claimed and released in one statement."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from app.db.leases import LeaseBusy
from app.resources import Resources, open_resources
from tests.support.portal import settings_for


@pytest.fixture
async def processes(own_database_url: str) -> AsyncIterator[list[Resources]]:
    """What two processes hold open."""
    settings = settings_for(own_database_url, "http://127.0.0.1:1")
    async with open_resources(settings) as one, open_resources(settings) as other:
        yield [one, other]


async def test_of_all_who_claim_a_lease_at_the_same_moment_one_gets_it(processes: list[Resources]) -> None:
    async with AsyncExitStack() as stack:
        claims = await asyncio.gather(
            *(
                stack.enter_async_context(process.leases.hold_if_free("one", seconds=5))
                for process in processes * 10
            )
        )
    assert sum(claim is not None for claim in claims) == 1


async def test_many_leases_are_held_and_given_back_together(
    processes: list[Resources], own_database: asyncpg.Connection
) -> None:
    names = [f"lease {number}" for number in range(50)]
    meeting = asyncio.Barrier(len(names))

    async def hold(number: int) -> None:
        async with processes[number % 2].leases.hold(names[number]):
            await meeting.wait()
            held = "SELECT count(*) FROM lease WHERE held_until > now()"
            assert number or await own_database.fetchval(held) == len(names)
            await meeting.wait()

    await asyncio.gather(*map(hold, range(len(names))))
    assert await own_database.fetchval("SELECT count(*) FROM lease") == 0


async def test_a_busy_lease_is_neither_given_nor_released_by_another(processes: list[Resources]) -> None:
    one, other = processes
    async with one.leases.hold("busy"):
        for process in processes:
            with pytest.raises(LeaseBusy):
                async with process.leases.hold("busy", max_wait=0.2):
                    pass
    async with other.leases.hold("busy", max_wait=1):
        pass


@pytest.mark.proof
async def test_a_caller_that_is_cancelled_while_it_claims_leaves_no_lease(
    processes: list[Resources], own_database: asyncpg.Connection
) -> None:
    async def hold() -> None:
        async with processes[0].leases.hold("cancelled"):
            await asyncio.sleep(60)

    for steps in range(30):
        holding = asyncio.create_task(hold())
        for _ in range(steps):
            await asyncio.sleep(0)
        holding.cancel()
        await asyncio.wait([holding])
        assert await own_database.fetchval("SELECT count(*) FROM lease") == 0
