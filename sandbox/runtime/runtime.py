"""What every room of the sandbox works with, opened once by the app's lifespan."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from starlette.requests import Request

from sandbox.faults.registry import FaultDial
from sandbox.json_types import Json
from sandbox.runtime.background_tasks import Errands
from sandbox.runtime.rate_limit import RateLimit
from sandbox.settings import Settings, SignatureTimestamp
from sandbox.state.store import Ledger
from sandbox.state.undocumented_behaviour import UndocumentedRules


@dataclass
class SigningManner:
    """How deliveries are stamped. `skew` seconds imitate a clock that runs ahead (+) or behind (-)."""

    timestamp: SignatureTimestamp
    skew: float = 0.0


@dataclass(frozen=True)
class World:
    settings: Settings
    base_url: str
    ledger: Ledger
    errands: Errands
    faults: FaultDial
    limit: RateLimit
    signing: SigningManner
    http: httpx.AsyncClient
    calls: deque[Json]
    deliveries: deque[Json]
    # An endpoint that hangs makes deliveries wait for their turn; the time for an answer begins with it.
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(64))
    # Notified after every attempt to deliver.
    tried: asyncio.Condition = field(default_factory=asyncio.Condition)

    def now(self) -> datetime:
        return self.ledger.clock.now()

    @property
    def rules(self) -> UndocumentedRules:
        return self.ledger.rules

    async def reset(self) -> None:
        """Forget everything but the issuer's keys, and stop whatever was still going to happen."""
        await self.errands.drop_all()
        self.ledger.forget_everything()
        self.faults.clear()
        self.limit.clear()
        self.calls.clear()
        self.deliveries.clear()
        self.signing.timestamp = self.settings.signature_timestamp
        self.signing.skew = 0.0


def world_of(request: Request) -> World:
    world = request.app.state.world
    if not isinstance(world, World):
        raise TypeError("the lifespan has not opened the world")
    return world
