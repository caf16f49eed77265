"""Creates orders and reads documents while processes crash and PostgreSQL and Digital River fail."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from app.worker.handlers import HANDLERS
from tests.chaos import tampering
from tests.chaos.deployment import APIS, WORKERS, Deployment
from tests.support.events import invoice_event, signed
from tests.support.sandbox import Json, Sandbox

CANARY = "canary"
BUYERS = ("customer-ada", "customer-grace", "customer-barbara")
READERS = 3
EXTRA_SECONDS = 20.0
# Beside the types we handle, some that are only kept.
SUBSCRIBED = (*HANDLERS, "order.accepted", "order.complete", "refund.complete")
# Of the deliveries; the sweep has to find what is dropped.
DROPPED, DOUBLED, REORDERED = 0.05, 0.2, 0.2
# A call is repeated twice by itself: three failures are an attempt at an event.
CALL_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 500, "times": 3},
    {"kind": "status", "status": 503, "afterwards": True, "times": 3},
    {"kind": "throttle", "retryAfter": 1, "times": 2},
    {"kind": "reset", "times": 3},
    {"kind": "reset", "afterwards": True, "times": 3},
    {"kind": "garbage", "times": 3},
    {"kind": "empty", "times": 3},
    {"kind": "delay", "seconds": 1.0, "times": 10},
)
CALL_FAULT_SECONDS = 5.0
PATHS = ("/files/{id}", "/file-links", "/events")
# Long enough for a header with many more signatures than the APIs know secrets, and with an end.
OLD_SECRET_SECONDS = 600


@dataclass
class Ledger:
    """What buyers saw during the run, and what the scenario did."""

    tokens: dict[str, dict[str, str]]
    secrets: set[str]
    orders: list[Json] = field(default_factory=list)
    answers: Counter[int | str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    tampered: Counter[str] = field(default_factory=Counter)
    settled: list[str] = field(default_factory=list)
    seen: dict[str, set[str]] = field(default_factory=lambda: {buyer: set() for buyer in BUYERS})
    forged: set[str] = field(default_factory=set)
    forgeries: Counter[int] = field(default_factory=Counter)
    drops: int = 0
    thefts: int = 0
    leaks: int = 0
    dead_links: int = 0


@dataclass
class Scenario:
    """Causes failures until `ends` (by the monotonic clock), with up to `longest_pause` seconds between two;
    `rng` makes the same choices for the same seed."""

    deployment: Deployment
    sandbox: Sandbox
    http: httpx.AsyncClient
    ledger: Ledger
    webhook_id: str
    ends: float
    longest_pause: float
    rng: random.Random

    @property
    def is_over(self) -> bool:
        """Not before a document was opened and another's was tried: a busy machine may need more time."""
        is_proof = self.ledger.answers[303] > 0 and self.ledger.thefts > 0
        return time.monotonic() > self.ends + (0 if is_proof else EXTRA_SECONDS)

    async def run_all(self) -> None:
        """Run all tasks at once; returns when the last order is complete."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._create_orders(tasks))
            tasks.create_task(self._cause_failures())
            tasks.create_task(self._supervise())
            tasks.create_task(self._forge())
            for _ in range(READERS):
                tasks.create_task(self._read())

    async def _create_orders(self, tasks: asyncio.TaskGroup) -> None:
        while not self.is_over:
            tasks.create_task(self._create_order(len(self.ledger.orders)))
            await asyncio.sleep(self.rng.uniform(0.1, 0.6))

    async def _create_order(self, number: int) -> None:
        """An order with its invoice, and for every second one a credit memo."""
        buyer = BUYERS[number % len(BUYERS)]
        order = await self.sandbox.order(buyer, email=f"{CANARY}-{number}@example.com")
        self.ledger.orders.append(order)
        await self._decide_delivery("order.invoice.created")
        await self.sandbox.fulfil(order)
        if number % 2:
            await self._decide_delivery("order.credit_memo.created")
            await self.sandbox.refund(order)
        self.ledger.settled.append(order["id"])

    async def _decide_delivery(self, event_type: str) -> None:
        """What happens to the next delivery of this type."""
        fates = {"drop": DROPPED, "duplicate": DOUBLED, "reorder": REORDERED}
        for fate, share in fates.items():
            if self.rng.random() < share:
                self.ledger.drops += fate == "drop"
                await self.sandbox.fault(fate, eventType=event_type, times=1)

    async def _supervise(self) -> None:
        while not self.is_over:
            self.deployment.restart_dead(self.rng)
            await asyncio.sleep(0.2)

    async def _cause_failures(self) -> None:
        moves: Mapping[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "process killed": (6, self._kill),
            "call fault": (8, self._fail_calls),
            "answer tampered with": (8, self._tamper),
            "far side down": (1, self._far_side_down),
            "far side hangs": (1, self._far_side_hangs),
            "database restarted": (2, self._restart_database),
            "database crashed": (1, self._crash_database),
            "connections terminated": (3, self._terminate_connections),
            "secret rotated": (1, self._rotate_secret),
        }
        while not self.is_over:
            await asyncio.sleep(self.rng.uniform(0.1, 1.0) * self.longest_pause)
            (name,) = self.rng.choices(list(moves), [weight for weight, _ in moves.values()])
            self.ledger.moves[name] += 1
            await moves[name][1]()

    async def _kill(self) -> None:
        """A process that has no crash point of its own."""
        free = [name for name in (*APIS, *WORKERS) if name not in self.deployment.armed]
        if free:
            await self.deployment.kill(self.rng.choice(free))

    async def _fail_calls(self) -> None:
        """One path for a few calls. Not for long, so that faults do not add up where calls are rare."""
        fault = dict(self.rng.choice(CALL_FAULTS))
        until = _in(CALL_FAULT_SECONDS)
        await self.sandbox.fault(fault.pop("kind"), path=self.rng.choice(PATHS), until=until, **fault)

    async def _tamper(self) -> None:
        """Digital River answers or delivers something well formed that is not true."""
        fault = tampering.draw(self.rng, self.ledger.settled[-20:])
        self.ledger.tampered[f"{fault['kind']} {fault.get('variant', '')}".strip()] += 1
        await self.sandbox.fault(fault.pop("kind"), until=_in(CALL_FAULT_SECONDS), **fault)

    async def _far_side_down(self) -> None:
        await self._for_a_while("status", status=503)

    async def _far_side_hangs(self) -> None:
        await self._for_a_while("delay", seconds=20.0)

    async def _for_a_while(self, kind: str, **more: Any) -> None:
        until = _in(self.rng.uniform(2, 6))
        for path in PATHS:
            await self.sandbox.fault(kind, path=path, until=until, **more)

    async def _restart_database(self) -> None:
        self.deployment.server.stop()
        await self._start_database()

    async def _crash_database(self) -> None:
        self.deployment.crash_database()
        await self._start_database()

    async def _start_database(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, 2))
        self.deployment.server.start()

    async def _terminate_connections(self) -> None:
        database = await asyncpg.connect(self.deployment.database_url)
        await database.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = 'portal' AND pid <> pg_backend_pid() AND random() < $1""",
            self.rng.choice((0.3, 1.0)),
        )
        await database.close()

    async def _rotate_secret(self) -> None:
        """As the runbook says: the new one beside the old one, then the APIs one after the other."""
        rotate = f"/_sandbox/webhooks/{self.webhook_id}/secrets/rotate"
        manner = {"keepOld": True, "keepOldSeconds": OLD_SECRET_SECONDS}
        self.deployment.secrets = (await self.sandbox.post(rotate, manner))["secrets"][:2]
        self.ledger.secrets.update(self.deployment.secrets)
        for name in APIS:
            await self.deployment.kill(name)
            self.deployment.restart_dead(self.rng)

    async def _forge(self) -> None:
        """Deliver forged events: their address, format and time are right, their secret is not."""
        while not self.is_over:
            event = invoice_event()
            self.ledger.forged.add(event["id"])
            body = json.dumps(event).encode()
            with suppress(httpx.TransportError):
                answer = await self.http.post(
                    f"{self.deployment.url}/webhooks/digital-river",
                    content=body,
                    headers=signed(body, secret="whs_forged"),
                )
                self.ledger.forgeries[answer.status_code] += 1
            await asyncio.sleep(self.rng.uniform(0.2, 1.0))

    async def _read(self) -> None:
        """A buyer lists and opens documents and reads orders, and tries to open another buyer's documents."""
        while not self.is_over:
            buyer = self.rng.choice(BUYERS)
            try:
                await self._read_pages(buyer)
            except httpx.TransportError as error:
                self.ledger.answers[type(error).__name__] += 1
            await asyncio.sleep(self.rng.uniform(0.02, 0.1))

    async def _read_pages(self, buyer: str) -> None:
        listed = await self._get(buyer, "/v1/documents")
        mine = [document["id"] for document in listed.json()["data"]] if listed.is_success else []
        self.ledger.seen[buyer].update(mine)
        if mine:
            opened = await self._get(buyer, f"/v1/documents/{self.rng.choice(mine)}/content")
            if opened.has_redirect_location:
                file = await self.http.get(opened.headers["Location"])
                self.ledger.dead_links += not file.content.startswith(b"%PDF")
        others = [each for other, ids in self.ledger.seen.items() if other != buyer for each in ids]
        if others:
            self.ledger.thefts += 1
            stolen = await self._get(buyer, f"/v1/documents/{self.rng.choice(others)}/content")
            self.ledger.leaks += stolen.status_code < 400
        orders = [order for order in self.ledger.orders[-20:] if order["customerId"] == buyer]
        if orders:
            await self._get(buyer, f"/v1/orders/{self.rng.choice(orders)['id']}/documents")

    async def _get(self, buyer: str, path: str) -> httpx.Response:
        answer = await self.http.get(self.deployment.url + path, headers=self.ledger.tokens[buyer])
        self.ledger.answers[answer.status_code] += 1
        return answer


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
