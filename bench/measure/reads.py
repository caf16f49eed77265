"""Reads of documents: a list of twenty and one document, beside a floor that has their JSON in its rows."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import asyncpg

from bench.figures import Goal
from bench.load import request
from bench.measure.context import Bench
from bench.measure.pairs import Side, add_full_load, run_rounds, warm_up
from bench.processes import Server, fetch, post, running_api, running_floor

REQUESTS = 3000
CUSTOMER = "ada"
CUSTOMERS_DOCUMENTS = 40
DOCUMENTS = 20_000
LIST = "/v1/documents"
READ_GOAL = Goal(must=0.6, aim=0.8, higher_is_better=True)

_INSERT_DOCUMENTS = """
INSERT INTO document (file_id, order_id, customer_id, kind, file_name, created_at)
SELECT 'f' || i, 'o' || i, CASE WHEN i < $2 THEN $1 ELSE 'c' || i % 500 END, 'invoice',
       'invoice-' || i || '.pdf', timestamptz '2026-01-01' + i * interval '1 s'
FROM generate_series(0, $3 - 1) i
"""
_INSERT_LINKS = """
INSERT INTO file_link (file_id, link_id, url, expires_at)
SELECT file_id, 'l' || file_id, 'https://files.digitalriver.com/links/' || file_id, now() + interval '1 day'
FROM document
"""
# Rows of others are as long as the customer's, and nobody reads them.
_INSERT_FLOOR_DOCUMENTS = """
INSERT INTO floor_document (id, customer_id, created_at, body)
SELECT id, customer_id, created_at, repeat('x', $1) FROM document
"""


def measure_lists(bench: Bench) -> None:
    with _running_pair(bench) as (floor, portal, token):
        _measure(
            bench, "lists of 20 documents", floor, portal, token, path=LIST, heading="Lists of 20 documents"
        )


def measure_documents(bench: Bench) -> None:
    with _running_pair(bench) as (floor, portal, token):
        _, page = fetch(portal.port, LIST, token)
        path = f"{LIST}/{json.loads(page)['data'][0]['id']}"
        _measure(bench, "single documents", floor, portal, token, path=path, heading="One document")


def _measure(
    bench: Bench,
    what: str,
    floor: Server,
    portal: Server,
    token: Mapping[str, str],
    *,
    path: str,
    heading: str,
) -> None:
    floor_path = f"{path}?customer={CUSTOMER}"
    answers = fetch(floor.port, floor_path, {}), fetch(portal.port, path, token)
    assert answers[0] == answers[1], answers
    floor_request, portal_request = request("GET", floor_path, {}), request("GET", path, dict(token))
    sides = (
        Side(floor, lambda count: [floor_request] * count, 200),
        Side(portal, lambda count: [portal_request] * count, 200),
    )
    warm_up(bench, *sides)
    rounds = run_rounds(bench, *sides, REQUESTS)
    bench.table.add_heading(f"{heading}; floor: bare FastAPI + asyncpg route with prebuilt JSON")
    add_full_load(bench, what, rounds, throughput=READ_GOAL)


@contextmanager
def _running_pair(bench: Bench) -> Iterator[tuple[Server, Server, Mapping[str, str]]]:
    """The floor, the portal and the authorization of the customer, with the same documents for both."""
    url = bench.databases.fresh()
    asyncio.run(insert_documents(url))
    with running_floor(url, "reads") as floor, running_api(url, bench.sandbox) as portal:
        token = authorization(bench)
        asyncio.run(_insert_prebuilt(url, _read_pages(portal, token)))
        yield floor, portal, token


def authorization(bench: Bench) -> Mapping[str, str]:
    """The header of the customer, for an hour."""
    token = post(f"{bench.sandbox}/_sandbox/tokens", {"customerId": CUSTOMER})["accessToken"]
    return {"Authorization": f"Bearer {token}"}


async def insert_documents(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(_INSERT_DOCUMENTS, CUSTOMER, CUSTOMERS_DOCUMENTS, DOCUMENTS)
    await connection.execute(_INSERT_LINKS)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _read_pages(portal: Server, token: Mapping[str, str]) -> Sequence[tuple[str, str, str | None]]:
    """Of each document of the customer: its id, its JSON as the portal writes it, and the cursor after it."""
    pages: list[tuple[str, str, str | None]] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        after = "" if cursor is None else f"&cursor={cursor}"
        _, body = fetch(portal.port, f"{LIST}?limit=1{after}", token)
        page = json.loads(body)
        (document,), cursor = page["data"], page["nextCursor"]
        pages.append((document["id"], json.dumps(document, separators=(",", ":")), cursor))
    assert len(pages) == CUSTOMERS_DOCUMENTS
    return pages


async def _insert_prebuilt(url: str, pages: Sequence[tuple[str, str, str | None]]) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(_INSERT_FLOOR_DOCUMENTS, len(pages[0][1]))
    await connection.executemany("UPDATE floor_document SET body = $2, cursor = $3 WHERE id = $1", pages)
    await connection.execute("VACUUM (ANALYZE) floor_document")
    await connection.close()
