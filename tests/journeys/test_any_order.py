"""The events of an order may come in any sequence and any number of times: all records agree in the end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import permutations

import asyncpg
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from app.webhooks.ingest import WRITERS
from tests.journeys.steps import (
    AbandonClaim,
    Deliver,
    PassTime,
    RequestSweep,
    Revive,
    RunWorker,
    Step,
    ViewDocuments,
    recover,
    running_worker,
)
from tests.journeys.system import KINDS, create_system, reconcile
from tests.support.portal import Portal, running_portal
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.proof

EXAMPLES = 8
AT_ONCE = 4
BUYERS = ("customer-ada", "customer-grace", "customer-barbara")

ORDERS = st.integers(0, 1)
# More copies at once than the inbox has writers: some of them share a statement.
DELIVERIES = st.builds(Deliver, ORDERS, st.sampled_from(KINDS), st.sampled_from((1, 2, 3 * WRITERS)))
OTHERS = st.one_of(
    st.builds(ViewDocuments, ORDERS),
    st.builds(RunWorker),
    st.builds(RequestSweep),
    st.builds(AbandonClaim),
    st.builds(Revive, ORDERS, st.sampled_from(KINDS)),
)
# Steps of one moment are taken at once. Time passes alone: a clock that jumps while a link is being minted
# would be a process that stood still for longer than its lease, which no lease can bear.
MOMENTS = st.one_of(st.lists(DELIVERIES | OTHERS, min_size=1, max_size=5).map(tuple), st.just((PassTime(),)))
PLANS = st.lists(MOMENTS, min_size=3, max_size=8)


@pytest.fixture
async def portal(own_database_url: str, sandbox: Sandbox) -> AsyncIterator[Portal]:
    """Without a worker: the steps of a plan start and stop workers."""
    async with running_portal(own_database_url, sandbox.url, with_worker=False) as portal:
        yield portal


@pytest.mark.timeout(150)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    # The same plans each time: what fails here fails again.
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=PLANS)
async def test_the_records_agree_after_any_plan(
    portal: Portal, sandbox: Sandbox, own_database: asyncpg.Connection, plan: Sequence[Sequence[Step]]
) -> None:
    note("\n".join(map(repr, plan)))
    system = await create_system(portal, sandbox, own_database, BUYERS[:2])
    for moment in plan:
        await asyncio.gather(*(step.run(system) for step in moment))
    await recover(system)
    await reconcile(system)


# Seconds on a quiet machine; on a busy one as many as all else leaves.
@pytest.mark.timeout(150)
async def test_the_records_agree_after_every_sequence_of_five_events(
    portal: Portal, sandbox: Sandbox, own_database: asyncpg.Connection
) -> None:
    """Each sequence of events happens to an order of its own, several at a time, while a worker runs. For
    some of them the buyer reads in between, and one event comes twice."""
    orders = list(permutations(KINDS))
    owners = [BUYERS[number % len(BUYERS)] for number in range(len(orders))]
    system = await create_system(portal, sandbox, own_database, owners)
    semaphore = asyncio.Semaphore(AT_ONCE)

    async def run_steps(number: int) -> None:
        steps: list[Step] = [Deliver(number, kind) for kind in orders[number]]
        if number % 10 == 0:
            steps.insert(number % (len(steps) + 1), ViewDocuments(number))
            steps.append(Deliver(number, orders[number][number % len(KINDS)]))
        async with semaphore:
            for step in steps:
                await step.run(system)

    async with running_worker(system):
        await asyncio.gather(*(run_steps(number) for number in range(len(orders))))
    await recover(system)
    await reconcile(system)
