"""The steps of a generated plan: each calls the portal's public interface and checks the answer at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.webhooks import inbox
from app.webhooks.sweep import sweep_if_due
from app.worker.handlers import HANDLERS
from app.worker.loop import Worker
from tests.journeys.system import OTHER_BUYER, Kind, System
from tests.support.clock import eventually
from tests.support.portal import pass_time
from tests.support.sandbox import Json

# Longer than any lease, and than the portal caches what it knows of an order.
IDLE_SECONDS = 20.0


@asynccontextmanager
async def running_worker(system: System) -> AsyncIterator[None]:
    """A worker for the length of the block; it finishes its claimed events before the block ends."""
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(system.resources).run(stop))
    try:
        yield
    finally:
        stop.set()
        await worker


async def _has_none_due(system: System) -> bool:
    due = "SELECT count(*) FROM webhook_event WHERE state = 'pending' AND due_at <= now()"
    return not await system.resources.hot_pool.fetchval(due)


@dataclass(frozen=True)
class Deliver:
    """The webhook brings an event, the first time or again."""

    order: int
    kind: Kind

    # All at once.
    copies: int = 1

    async def run(self, system: System) -> None:
        event = system.placed_orders[self.order].events[self.kind]
        await asyncio.gather(*(self._deliver(system, event) for _ in range(self.copies)))

    async def _deliver(self, system: System, event: Json) -> None:
        receipts = system.receipts[event["id"]]
        # As Digital River does, when a busy machine made it wait for too long.
        while (answer := await system.portal.deliver(event)).status_code == 503:
            receipts["unavailable"] += 1
        assert answer.status_code == 202, answer.text
        receipts[answer.json()["status"]] += 1


@dataclass(frozen=True)
class ViewDocuments:
    """The buyer lists and opens an order's documents, before or after its events; another buyer cannot."""

    order: int

    async def run(self, system: System) -> None:
        placed = system.placed_orders[self.order]
        path = f"/v1/orders/{placed.order_id}/documents"
        listed = (
            (await system.portal.get(path, system.tokens[placed.owner])).raise_for_status().json()["data"]
        )
        kinds = [one["kind"] for one in listed]
        # The order names documents that no event has announced. The portal reads it once a day, so a later
        # credit memo comes by its event or by the sweep.
        assert kinds in (["invoice"], ["creditMemo", "invoice"], ["invoice", "creditMemo"]), kinds
        for one in listed:
            content = f"/v1/documents/{one['id']}/content"
            assert (await system.portal.get(content, system.tokens[placed.owner])).status_code == 303
            assert (await system.portal.get(content, system.tokens[OTHER_BUYER])).status_code == 404
        assert (await system.portal.get(path, system.tokens[OTHER_BUYER])).status_code == 404


@dataclass(frozen=True)
class RunWorker:
    """A worker starts, handles the events that are due, and stops."""

    async def run(self, system: System) -> None:
        async with running_worker(system):
            await eventually(lambda: _has_none_due(system))


@dataclass(frozen=True)
class AbandonClaim:
    """A worker claims events that are due, and dies."""

    async def run(self, system: System) -> None:
        async with system.resources.engine.begin() as connection:
            await inbox.claim_events(connection, limit=3, lease=system.resources.settings.worker_lease)


@dataclass(frozen=True)
class RequestSweep:
    """An operator requests a sweep, and a worker begins it."""

    async def run(self, system: System) -> None:
        asked = await system.portal.client.post("/ops/sweep", params={"days": 1}, headers=system.operator)
        assert asked.status_code == 202, asked.text
        await sweep_if_due(system.resources, HANDLERS)


@dataclass(frozen=True)
class Revive:
    """An operator revives an event, whatever its state."""

    order: int
    kind: Kind

    async def run(self, system: System) -> None:
        event = system.placed_orders[self.order].events[self.kind]
        answer = await system.portal.client.post(f"/ops/events/{event['id']}/revive", headers=system.operator)
        assert answer.status_code in {200, 404, 409}, answer.text


@dataclass(frozen=True)
class PassTime:
    """Nothing happens for longer than any lease lives."""

    async def run(self, system: System) -> None:
        await pass_time(system.database, system.sandbox, IDLE_SECONDS)


Step = Deliver | ViewDocuments | RunWorker | AbandonClaim | RequestSweep | Revive | PassTime


async def recover(system: System) -> None:
    """Let expired claims be handled, and find events that were never delivered."""
    for step in (PassTime(), RequestSweep(), RunWorker()):
        await step.run(system)
    still_open = "SELECT count(*) FROM webhook_event WHERE state = 'pending'"
    assert await system.database.fetchval(still_open) == 0
