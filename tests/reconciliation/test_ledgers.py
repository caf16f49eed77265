"""The two promises, proven by comparing ledgers: what was sent is what is kept, linked, and opened by its
owner and nobody else, whatever dies meanwhile; and no log of it all holds anything private."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest

from app.handlers import HANDLERS
from tests.house import Json, Sandbox, eventually, running_sandbox
from tests.reconciliation.house import House, free_port, running_house

BUYERS = ("customer-ada", "customer-grace", "customer-barbara")
ORDERS = 12
CANARY = "canary"
# What a call to Digital River may come back with, now and then.
CALL_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503, "afterwards": True},
    {"kind": "throttle", "retryAfter": 1},
    {"kind": "reset"},
    {"kind": "reset", "afterwards": True},
    {"kind": "garbage"},
    {"kind": "delay", "seconds": 1.0},
)
PATHS = ("/files/{id}", "/file-links")
# Seeded by pytest-randomly before each test, which prints its seed: `-p randomly_seed=…` repeats a storm.
DICE = random


@dataclass
class Ledger:
    """What buyers and Digital River saw during the storm."""

    orders: list[Json] = field(default_factory=list)
    answers: Counter[int | str] = field(default_factory=Counter)
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)


@pytest.fixture
async def far_side() -> AsyncIterator[Sandbox]:
    """A sandbox of this test's own: a Digital River that delivers again and again, as the real one does."""
    async with running_sandbox(SANDBOX_RETRIES="6", SANDBOX_RETRY_DELAY="0.2") as sandbox:
        yield sandbox


# Starting the processes, again and again, is most of it; on a busy machine that takes its time.
@pytest.mark.timeout(150)
async def test_ledgers_agree_after_a_storm(far_side: Sandbox, http: httpx.AsyncClient) -> None:
    secrets: list[str] = ["whs_canary_of_no_webhook"]
    ledger = Ledger(tokens={name: await far_side.token(name) for name in BUYERS})
    # The address has to be known before the house is built, the secrets before it starts.
    port = free_port()
    secrets = [*await far_side.register_webhook(f"http://127.0.0.1:{port}"), *secrets]
    async with running_house(far_side, secrets, port) as house:
        await house.until_ready(http)
        reading = asyncio.create_task(read_along(house, ledger, http))
        await asyncio.gather(trade(far_side, ledger), make_havoc(house))
        reading.cancel()
        await heal(house, far_side, http)
        await compare(house, far_side, ledger, http)
        await send_canaries(house, http)
        await assert_nothing_private(house, far_side, ledger, secrets)
    assert not {status for status in ledger.answers if isinstance(status, int) and status in {500, 502}}
    assert ledger.answers[200] > 0


async def trade(sandbox: Sandbox, ledger: Ledger) -> None:
    """Orders, invoices and credit memos while deliveries are lost, doubled and swapped, and calls fail."""
    for number in range(ORDERS):
        for event_type in HANDLERS:
            await sandbox.fault(DICE.choice(("drop", "duplicate", "reorder")), eventType=event_type, times=1)
        # A call is repeated twice by itself: three failures are an attempt at an event.
        await sandbox.fault(**DICE.choice(CALL_FAULTS), path=DICE.choice(PATHS), times=3)
        if number % 3 == 0:
            # The link is made and nobody hears of it: the next attempt has to find it.
            await sandbox.fault("reset", method="POST", path="/file-links", afterwards=True, times=1)
        buyer = BUYERS[number % len(BUYERS)]
        order = await sandbox.order(buyer, email=f"{CANARY}-{number}@example.com")
        ledger.orders.append(order)
        await sandbox.fulfil(order)
        if number % 2:
            await sandbox.refund(order)
        await asyncio.sleep(DICE.uniform(0.1, 0.5))


async def make_havoc(house: House) -> None:
    """Kill workers and APIs, and stop PostgreSQL under them, each more than once and in any order."""
    moves = ["worker-1", "worker-2", "worker-1", "api-1", "api-2", "database", "database"]
    DICE.shuffle(moves)
    for move in moves:
        await asyncio.sleep(DICE.uniform(0.3, 1.0))
        if move == "database":
            house.restart_database()
        else:
            await house.replace(move)


async def read_along(house: House, ledger: Ledger, http: httpx.AsyncClient) -> None:
    """Buyers who list and open their documents all the while; their answers go into the ledger."""
    while True:
        buyer = DICE.choice(BUYERS)
        url = house.url(DICE.choice(("api-1", "api-2")))
        try:
            listed = await http.get(f"{url}/v1/documents", headers=ledger.tokens[buyer])
            ledger.answers[listed.status_code] += 1
            for document in listed.json()["data"][:1] if listed.is_success else ():
                opened = await http.get(
                    f"{url}/v1/documents/{document['id']}/content", headers=ledger.tokens[buyer]
                )
                ledger.answers[opened.status_code] += 1
        except httpx.TransportError as error:
            ledger.answers[type(error).__name__] += 1
        await asyncio.sleep(0.05)


async def heal(house: House, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """The storm is over: an operator sweeps, and what waits for its next attempt need not wait."""
    (await sandbox.client.delete("/_sandbox/faults")).raise_for_status()
    await house.until_ready(http)
    ops = await sandbox.token("operator", scopes=["portal:ops"])
    asked = (await http.post(f"{house.url('api-1')}/ops/sweep?days=1", headers=ops)).raise_for_status().json()
    database = await asyncpg.connect(house.database_url)

    async def has_settled() -> bool:
        # Not those that a worker holds: their due time is its lease.
        await database.execute(
            """UPDATE webhook_event SET due_at = now()
               WHERE state = 'pending' AND reason IS NOT NULL AND jsonb_array_length(errors) = attempts"""
        )
        status = (await http.get(f"{house.url('api-1')}/ops/status", headers=ops)).json()
        last = status["lastSweep"]
        has_swept = last is not None and last["id"] >= asked["id"] and last["finishedAt"] is not None
        return has_swept and status["open"] == 0

    await eventually(has_settled, within=40)
    await database.close()


async def compare(house: House, sandbox: Sandbox, ledger: Ledger, http: httpx.AsyncClient) -> None:
    """Sent = kept = documents = live links = opened by the owner; and seen by nobody else."""
    sent = await events_of(sandbox)
    database = await asyncpg.connect(house.database_url)
    kept = {row["id"]: row["state"] for row in await database.fetch("SELECT id, state FROM webhook_event")}
    documents = await database.fetch("SELECT * FROM document")
    await database.close()
    assert len(sent) >= ORDERS
    assert kept == dict.fromkeys((event["id"] for event in sent), "done")
    assert await acknowledged(sandbox) <= kept.keys()

    owners = {order["id"]: order["customerId"] for order in ledger.orders}
    announced = {event["data"]["object"]["fileId"]: event["data"]["object"]["orderId"] for event in sent}
    issued: dict[str, str] = {}
    for order_id in owners:
        order = await sandbox.get(f"/orders/{order_id}")
        pdfs = [*(order.get("invoicePDFs") or ()), *(order.get("creditMemoPDFs") or ())]
        issued |= dict.fromkeys((pdf["id"] for pdf in pdfs), order_id)
    assert issued == announced
    assert {row["file_id"]: row["order_id"] for row in documents} == issued
    assert len(documents) == len(issued)

    for row in documents:
        live = (await sandbox.get("/file-links", fileId=row["file_id"], expired="false"))["data"]
        assert len(live) == 1, f"{len(live)} live links to one file"
        for buyer in BUYERS:
            opened = await http.get(
                f"{house.url('api-2')}/v1/documents/{row['id']}/content", headers=ledger.tokens[buyer]
            )
            if buyer != owners[row["order_id"]]:
                assert opened.status_code == 404
                continue
            assert opened.headers["Location"] == live[0]["url"]
            assert (await http.get(opened.headers["Location"])).content.startswith(b"%PDF")


async def events_of(sandbox: Sandbox) -> list[Json]:
    """Digital River's own ledger of what it announced."""
    events: list[Json] = []
    page: Json = {"hasMore": True}
    while page["hasMore"]:
        after = {"startingAfter": events[-1]["id"]} if events else {}
        page = await sandbox.get("/events", types=",".join(HANDLERS), limit=100, **after)
        events += page["data"]
    return events


async def acknowledged(sandbox: Sandbox) -> set[str]:
    """The events for which the portal said: kept."""
    deliveries: list[Json] = (await sandbox.client.get("/_sandbox/deliveries")).raise_for_status().json()
    return {delivery["eventId"] for delivery in deliveries if delivery["status"] == 202}


async def send_canaries(house: House, http: httpx.AsyncClient) -> None:
    """Private things wherever a caller can put them."""
    url, mail, card = house.url("api-1"), f"{CANARY}@example.com", "4111111111111111"
    calls: tuple[Callable[[], Any], ...] = (
        lambda: http.get(f"{url}/v1/documents", params={"cursor": mail, "email": card}),
        lambda: http.get(f"{url}/v1/documents/{mail}", headers={"Authorization": f"Bearer {CANARY}.{card}"}),
        lambda: http.get(f"{url}/{mail}/{card}", headers={"Cookie": CANARY, "User-Agent": mail}),
        lambda: http.get(f"{url}/v1/documents", headers={"X-Request-ID": f"{mail} {card}"}),
        lambda: http.post(
            f"{url}/webhooks/digital-river",
            content=f'{{"id": "{mail}", "type": "{card}"}}',
            headers={"DigitalRiver-Signature": f"1, {CANARY}"},
        ),
        lambda: http.post(f"{url}/ops/sweep", params={"days": card}, json={"email": mail}),
    )
    for call in calls:
        assert (await call()).status_code in {401, 404, 422}


async def assert_nothing_private(house: House, sandbox: Sandbox, ledger: Ledger, secrets: list[str]) -> None:
    logs = house.logs()
    for witness in ("is_new", "event.done", "link.minted", "digital_river.call", "sweep.started"):
        assert witness in logs, "this test would prove nothing"
    links = (await sandbox.get("/file-links", limit=100))["data"]
    assert links
    private = {
        CANARY,
        "sk_test_sandbox",
        "4111111111111111",
        "example.com",
        *secrets,
        *(link["url"] for link in links),
        *(header["Authorization"].removeprefix("Bearer ") for header in ledger.tokens.values()),
        *BUYERS,
    }
    told = [thing for thing in private if thing in logs]
    assert not told
