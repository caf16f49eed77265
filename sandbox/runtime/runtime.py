"""The objects that every part of the sandbox uses. The app's lifespan opens them once."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from starlette.requests import Request

from sandbox.faults.registry import FaultRegistry
from sandbox.json_types import Json
from sandbox.runtime.background_tasks import BackgroundTasks
from sandbox.runtime.rate_limit import RateLimit
from sandbox.settings import Settings, SignatureTimestamp
from sandbox.state.store import Store
from sandbox.state.undocumented_behaviour import UndocumentedBehaviour


@dataclass
class SignatureSettings:
    """The timestamp in signatures. `skew` seconds imitate a clock that runs ahead (+) or behind (-)."""

    timestamp: SignatureTimestamp
    skew: float = 0.0


@dataclass(frozen=True)
class Runtime:
    settings: Settings
    base_url: str
    store: Store
    background_tasks: BackgroundTasks
    faults: FaultRegistry
    rate_limit: RateLimit
    signature_settings: SignatureSettings
    http: httpx.AsyncClient
    calls: deque[Json]
    deliveries: deque[Json]
    # Limits deliveries in parallel. The time-out of a delivery starts when it has its slot.
    delivery_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
    # Notified after every attempt to deliver.
    delivery_attempted: asyncio.Condition = field(default_factory=asyncio.Condition)

    def now(self) -> datetime:
        return self.store.clock.now()

    @property
    def undocumented_behaviour(self) -> UndocumentedBehaviour:
        return self.store.undocumented_behaviour

    async def reset(self) -> None:
        """Cancel the background tasks and clear all state. The issuer of tokens keeps its keys."""
        await self.background_tasks.cancel_all()
        self.store.clear()
        self.faults.clear()
        self.rate_limit.clear()
        self.calls.clear()
        self.deliveries.clear()
        self.signature_settings.timestamp = self.settings.signature_timestamp
        self.signature_settings.skew = 0.0


def runtime_of(request: Request) -> Runtime:
    runtime = request.app.state.runtime
    if not isinstance(runtime, Runtime):
        raise TypeError("the lifespan has not opened the runtime")
    return runtime
