"""After the storm: what Digital River sent = what is stored = what is linked = what its owner can open."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Any

import asyncpg
import httpx

from app.handlers import HANDLERS
from tests.chaos.house import House
from tests.chaos.storm import BUYERS, CANARY, Ledger
from tests.house import Json, Sandbox, eventually
from tests.processes import Running

HEALING_SECONDS = 180.0
# Without these in the logs, finding nothing private there would prove nothing.
WITNESSES = ("request_id", "event.done", "link.minted", "digital_river.call", "sweep.started")


async def heal(house: House, sandbox: Sandbox, http: httpx.AsyncClient) -> float:
    """What an operator does when it is over: sweep, and let nothing wait. Returns after how many seconds
    all that was ever announced is done."""
    began = time.monotonic()
    (await sandbox.client.delete("/_sandbox/faults")).raise_for_status()
    await house.until_ready(http)
    ops = await sandbox.token("operator", scopes=["portal:ops"])
    answer = await http.post(f"{house.url}/ops/sweep?days=1", headers=ops)
    asked: Json = answer.raise_for_status().json()
    next_revival = 0.0

    async def has_settled() -> bool:
        nonlocal next_revival
        house.raise_the_dead()
        if time.monotonic() > next_revival:
            next_revival = time.monotonic() + 3
            await Running.start(["events", "revive", "--all"], house.environment).wait()
        answer = await http.get(f"{house.url}/ops/status", headers=ops)
        status: Json = answer.json() if answer.is_success else {"lastSweep": None}
        last = status["lastSweep"]
        return bool(last and last["id"] >= asked["id"] and last["finishedAt"] and status["open"] == 0)

    await eventually(has_settled, within=HEALING_SECONDS)
    return time.monotonic() - began


@dataclass(frozen=True)
class Reckoning:
    """The ledgers side by side. `wrong` names every way in which they differ."""

    rows: dict[str, str]
    wrong: list[str]

    def table(self) -> str:
        width = max(map(len, self.rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.rows.items())


@dataclass(frozen=True)
class Books:
    """What each side has written down."""

    sent: list[Json]
    deliveries: list[Json]
    kept: dict[str, asyncpg.Record]
    documents: list[asyncpg.Record]
    issued: dict[str, str]
    links: Counter[int]

    @property
    def accepted(self) -> Counter[str]:
        """How often each event was acknowledged with a 2xx."""
        return Counter(one["eventId"] for one in self.deliveries if one["status"] and one["status"] < 300)

    @property
    def dropped(self) -> set[str]:
        """Events that were never tried to be delivered."""
        return {event["id"] for event in self.sent} - {one["eventId"] for one in self.deliveries}


async def open_books(house: House, sandbox: Sandbox, ledger: Ledger) -> Books:
    """Read both sides' ledgers to the end."""
    database = await asyncpg.connect(house.database_url)
    kept = {row["id"]: row for row in await database.fetch("SELECT * FROM webhook_event")}
    documents = await database.fetch("SELECT * FROM document")
    await database.close()
    issued: dict[str, str] = {}
    for order in ledger.orders:
        now = await sandbox.get(f"/orders/{order['id']}")
        pdfs = [*(now.get("invoicePDFs") or ()), *(now.get("creditMemoPDFs") or ())]
        issued |= dict.fromkeys((pdf["id"] for pdf in pdfs), order["id"])
    links: Counter[int] = Counter()
    for file_id in issued:
        links[len((await sandbox.get("/file-links", fileId=file_id, expired="false"))["data"])] += 1
    deliveries = (await sandbox.client.get("/_sandbox/deliveries")).raise_for_status().json()
    return Books(await _events(sandbox), deliveries, kept, documents, issued, links)


async def _events(sandbox: Sandbox) -> list[Json]:
    """Digital River's own ledger of what it announced."""
    events: list[Json] = []
    page: Json = {"hasMore": True}
    while page["hasMore"]:
        after = {"startingAfter": events[-1]["id"]} if events else {}
        page = await sandbox.get("/events", types=",".join(HANDLERS), limit=100, **after)
        events += page["data"]
    return events


async def try_every_door(
    house: House, ledger: Ledger, books: Books, http: httpx.AsyncClient
) -> tuple[int, int]:
    """Every buyer tries every document: how many their owners could open, and how many anybody else could."""
    owners = {order["id"]: order["customerId"] for order in ledger.orders}
    opened = stolen = 0
    for document in books.documents:
        for buyer in BUYERS:
            answer = await http.get(
                f"{house.url}/v1/documents/{document['id']}/content",
                headers=ledger.tokens[buyer],
                follow_redirects=True,
            )
            if owners[document["order_id"]] == buyer:
                opened += answer.is_success and answer.content.startswith(b"%PDF")
            else:
                stolen += answer.status_code != 404
    return opened, stolen


async def reckon(
    house: House, sandbox: Sandbox, ledger: Ledger, http: httpx.AsyncClient, healed_after: float
) -> Reckoning:
    """Compare everything with everything."""
    books = await open_books(house, sandbox, ledger)
    opened, stolen = await try_every_door(house, ledger, books, http)
    sent = {event["id"] for event in books.sent}
    announced = {
        event["data"]["object"]["fileId"]: event["data"]["object"]["orderId"] for event in books.sent
    }
    stored = {row["file_id"]: row["order_id"] for row in books.documents}
    done = {event_id for event_id, row in books.kept.items() if row["state"] == "done"}
    lost = books.accepted.keys() - books.kept.keys()
    doubled = sum(count > 1 for event_id, count in books.accepted.items() if event_id in sent)
    logs = house.logs()
    private = await _find_private(logs, house, sandbox, ledger)
    rows = {
        "events sent": f"{len(sent)}",
        "  delivered more than once, or never": f"{doubled}, {len(books.dropped)}",
        "  overtaken by a later one": f"{_overtaken(books, sent)}",
        "accepted": f"{len(books.accepted.keys() & sent)}",
        "stored": f"{len(done & sent)}",
        "  beside these, types that nobody handles": f"{len(books.kept.keys() - sent)}",
        "documents": f"{len(books.documents)} of {len(books.issued)} issued",
        "live links per file": ", ".join(f"{n} ({files} files)" for n, files in sorted(books.links.items())),
        "opened by their owner": f"{opened}",
        "seen by anybody else": f"{stolen + ledger.leaks}",
        "2xx for something not stored": f"{len(lost)}",
        "links that did not work": f"{ledger.dead_links}",
        "time to heal": f"{healed_after:.1f} s",
        "event to document, delivered": _spread(_delays(books, sent - books.dropped)),
        "event to document, dropped": _spread(_delays(books, books.dropped)),
        "answers to buyers": _counted(ledger.answers),
        "moves": _counted(ledger.moves),
        "processes killed": _counted(house.died_at),
    }
    checks = {
        "an event is missing, or not done": done == sent,
        "other documents were announced than issued": announced == books.issued,
        "other documents are stored than issued": stored == books.issued,
        "a document is there twice": len(stored) == len(books.documents),
        "a file has not exactly one live link": books.links == Counter({1: len(books.issued)}),
        "an owner could not open a document": opened == len(books.issued),
        "somebody saw another's document": stolen + ledger.leaks == 0,
        "something was acknowledged and not stored": not lost,
        "a link did not work": not ledger.dead_links,
        "a buyer got a 500": not ledger.answers[500],
        "nothing was opened during the storm": ledger.answers[303] > 0,
        f"private things are in the logs: {private}": not private,
        "the logs tell nothing": all(witness in logs for witness in WITNESSES),
    }
    return Reckoning(rows, [name for name, is_fine in checks.items() if not is_fine] + _mistakes(logs))


def _overtaken(books: Books, event_ids: set[str]) -> int:
    """How many of these came in after one that happened later."""
    came = sorted((books.kept[one] for one in event_ids & books.kept.keys()), key=itemgetter("received_at"))
    latest = accumulate((row["happened_at"] for row in came), max)
    return sum(row["happened_at"] < last for row, last in zip(came, latest, strict=True))


def _delays(books: Books, event_ids: set[str]) -> Iterator[float]:
    for event_id in event_ids & books.kept.keys():
        row = books.kept[event_id]
        if row["finished_at"] is not None:
            yield (row["finished_at"] - row["happened_at"]).total_seconds()


def _spread(seconds: Iterator[float]) -> str:
    found = sorted(seconds)
    if not found:
        return "none"
    median, high = found[len(found) // 2], found[int(len(found) * 0.95)]
    return f"median {median:.2f} s, p95 {high:.2f} s, longest {found[-1]:.1f} s"


def _counted(counts: Counter[Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"


async def _find_private(logs: str, house: House, sandbox: Sandbox, ledger: Ledger) -> list[str]:
    """Of all that no log may hold, what the logs hold."""
    links = (await sandbox.get("/file-links", limit=100))["data"]
    private = {
        CANARY,
        "example.com",
        "sk_test_sandbox",
        *house.secrets,
        *(link["url"] for link in links),
        *(header["Authorization"].removeprefix("Bearer ") for header in ledger.tokens.values()),
        *BUYERS,
    }
    return sorted(thing for thing in private if thing in logs)


def _mistakes(logs: str) -> list[str]:
    """The failures in the logs that belong to no plan: each has a stack. (asyncpg forgets a future now and
    then when a connection ends while it begins; that has none.)"""
    lines = [json.loads(line) for line in logs.splitlines() if line.startswith("{") and line.endswith("}")]
    found = {
        f"{line['event']}: {line['error']} at {line['stack'][-6:]}" for line in lines if line.get("stack")
    }
    return [*sorted(found), *(["a bare traceback"] if "Traceback (most" in logs else [])]
