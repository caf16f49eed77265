"""A portal, its sandbox and a set of orders with events, and the checks that must hold after every plan."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import asyncpg

from app.db.schema import metadata
from app.resources import Resources
from tests.support.clock import eventually
from tests.support.portal import Portal
from tests.support.sandbox import Json, Sandbox

Kind = Literal["accepted", "invoice", "creditMemo", "refund", "unknown"]
KINDS: Sequence[Kind] = get_args(Kind)
TYPES: Mapping[Kind, str] = {
    "accepted": "order.accepted",
    "invoice": "order.invoice.created",
    "creditMemo": "order.credit_memo.created",
    "refund": "order.refunded",
    "unknown": "order.never_heard_of",
}
HANDLED: frozenset[Kind] = frozenset({"invoice", "creditMemo"})
CONCURRENT_ORDERS = 6
OTHER_BUYER = "customer-mallory"


@dataclass(frozen=True)
class OrderWithEvents:
    """An order, its owner, and one event of each kind about it."""

    order_id: str
    owner: str
    events: Mapping[Kind, Json]


@dataclass
class System:
    """A portal without a worker, its sandbox, and the orders placed there."""

    portal: Portal
    sandbox: Sandbox
    database: asyncpg.Connection
    placed_orders: Sequence[OrderWithEvents]
    tokens: Mapping[str, dict[str, str]]
    operator: dict[str, str]
    # How often each answer was given for an event: accepted, duplicate or unavailable.
    receipts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def resources(self) -> Resources:
        assert self.portal.app is not None
        resources: Resources = self.portal.app.state.resources
        return resources


async def create_system(
    portal: Portal, sandbox: Sandbox, database: asyncpg.Connection, owners: Sequence[str]
) -> System:
    """Empty the portal and the sandbox, and place one order for each owner. No event is delivered yet."""
    await sandbox.reset()
    empty = "; ".join(f"DELETE FROM {table.name}" for table in metadata.sorted_tables)
    await database.execute(f"{empty}; UPDATE clock.shift SET by = '0'")
    # A few at a time: each waits for its capture by asking.
    semaphore = asyncio.Semaphore(CONCURRENT_ORDERS)
    orders = await asyncio.gather(*(_place_order(sandbox, owner, semaphore) for owner in owners))
    events = await eventually(lambda: _events_of(sandbox, orders))
    placed_orders = [
        OrderWithEvents(order["id"], owner, events[order["id"]])
        for order, owner in zip(orders, owners, strict=True)
    ]
    tokens = {owner: await sandbox.token(owner) for owner in {*owners, OTHER_BUYER}}
    operator = await sandbox.token("operator", scopes=["portal:ops"])
    return System(portal, sandbox, database, placed_orders, tokens, operator)


async def _place_order(sandbox: Sandbox, owner: str, semaphore: asyncio.Semaphore) -> Json:
    async with semaphore:
        order = await sandbox.order(owner)
        await sandbox.fulfil(order)
        await sandbox.refund(order)
        about = {"type": TYPES["unknown"], "object": {"id": order["id"]}, "deliver": False}
        await sandbox.post("/_sandbox/events", about)
    return order


async def _events_of(sandbox: Sandbox, orders: Sequence[Json]) -> Mapping[str, Mapping[Kind, Json]]:
    """One event of each kind of each order; nothing before all have happened."""
    kinds = {event_type: kind for kind, event_type in TYPES.items()}
    found: defaultdict[str, dict[Kind, Json]] = defaultdict(dict)
    for event in await sandbox.all_of("/events", types=",".join(kinds)):
        subject = event["data"]["object"]
        found[subject.get("orderId") or subject["id"]][kinds[event["type"]]] = event
    is_complete = all(len(found[order["id"]]) == len(KINDS) for order in orders)
    return found if is_complete else {}


async def reconcile(system: System) -> None:
    """The documents at Digital River, the stored ones, the links and the owners' lists agree. Every event is
    stored once, and no other buyer sees a document."""
    issued = await _issued(system)
    await _compare_inbox(system)
    rows = await system.database.fetch("SELECT file_id, order_id, customer_id, kind FROM document")
    assert Counter(tuple(row) for row in rows) == Counter(issued)
    links = await _live_links(system)
    assert links.keys() == {file_id for file_id, *_ in issued}
    for owner in system.tokens:
        own = {
            (order_id, kind, links[file_id]) for file_id, order_id, whose, kind in issued if whose == owner
        }
        listed = await documents_of(system, owner)
        assert len(listed) == len(own)
        assert {(one["orderId"], one["kind"], one["link"]["url"]) for one in listed} == own
        for one in listed[:2]:
            opened = {who: await _open(system, who, one["id"]) for who in system.tokens}
            assert opened.pop(owner) == one["link"]["url"]
            assert set(opened.values()) == {"404"}


async def documents_of(system: System, owner: str) -> list[Json]:
    """All documents in the owner's list, page by page."""
    found: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await system.portal.get("/v1/documents", system.tokens[owner], limit=100, **cursor)
        page: Json = answer.raise_for_status().json()
        found += page["data"]
        if page["nextCursor"] is None:
            return found
        cursor = {"cursor": page["nextCursor"]}


async def _issued(system: System) -> list[tuple[str, str, str, str]]:
    """The file, order, owner and kind of each document, as Digital River's orders have them."""
    orders = await asyncio.gather(
        *(system.sandbox.get(f"/orders/{placed.order_id}") for placed in system.placed_orders)
    )
    return [
        (pdf["id"], order["id"], order["customerId"], kind)
        for order in orders
        for kind, place in (("invoice", "invoicePDFs"), ("creditMemo", "creditMemoPDFs"))
        for pdf in order[place]
    ]


async def _compare_inbox(system: System) -> None:
    rows = await system.database.fetch("SELECT id, state, origin, order_id FROM webhook_event")
    kept = {row["id"]: (row["order_id"], row["state"]) for row in rows}
    assert len(kept) == len(rows)
    assert kept == {
        event["id"]: (placed.order_id, "done") if kind in HANDLED else (None, "ignored")
        for placed in system.placed_orders
        for kind, event in placed.events.items()
        # The sweep asks only for handled types, so other events are stored only if they were delivered.
        if kind in HANDLED or event["id"] in system.receipts
    }
    for row in rows:
        # New once: for a delivery, or for the sweep that was there before it. One that was answered 503 may
        # have been kept all the same.
        receipts, is_delivered = system.receipts[row["id"]], row["origin"] == "webhook"
        assert receipts["accepted"] == is_delivered or (is_delivered and receipts["unavailable"])


async def _live_links(system: System) -> dict[str, str]:
    """The one URL of each file that has a link; fails when a file has two."""
    links = await system.sandbox.all_of("/file-links", expired="false")
    assert len({link["fileId"] for link in links}) == len(links)
    return {link["fileId"]: link["url"] for link in links}


async def _open(system: System, who: str, document_id: str) -> str:
    """Where it leads, or the status of the refusal."""
    answer = await system.portal.get(f"/v1/documents/{document_id}/content", system.tokens[who])
    return str(answer.headers.get("Location", answer.status_code))
