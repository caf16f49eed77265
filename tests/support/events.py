"""Events that were listed and never delivered, and the doors through which tests look at sweeps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.handlers import HANDLERS
from app.ops import chores
from tests.house import Portal, Sandbox, invoice_event

INVOICE = "order.invoice.created"


@asynccontextmanager
async def chores_of(portal: Portal) -> AsyncIterator[None]:
    """The chores of a worker process, beside the portal's worker."""
    assert portal.app is not None
    stop = asyncio.Event()
    running_chores = asyncio.create_task(chores.run(portal.app.state.resources, HANDLERS, stop))
    yield
    stop.set()
    await running_chores


async def operator(sandbox: Sandbox) -> dict[str, str]:
    return await sandbox.token("operator", scopes=["portal:ops"])


async def happen(sandbox: Sandbox, count: int, *, event_type: str = INVOICE) -> set[str]:
    """Events that are listed and never delivered."""

    async def one() -> str:
        subject = invoice_event()["data"]["object"]
        made = await sandbox.post(
            "/_sandbox/events", {"type": event_type, "object": subject, "deliver": False}
        )
        return str(made["id"])

    ids: set[str] = set()
    while len(ids) < count:
        ids |= set(await asyncio.gather(*(one() for _ in range(min(20, count - len(ids))))))
    return ids


async def kept(database: asyncpg.Connection) -> set[str]:
    return {row["id"] for row in await database.fetch("SELECT id FROM webhook_event")}


async def last_sweep(portal: Portal, token: dict[str, str]) -> Any:
    found = (await portal.get("/ops/status", token)).raise_for_status().json()["lastSweep"]
    return found if found and found["finishedAt"] else None
