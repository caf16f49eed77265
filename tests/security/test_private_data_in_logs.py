"""No log holds private data, whatever clients, Digital River or operators send to the portal."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app import logging
from app.commands import environment
from tests.security.canaries import CANARIES, everywhere, headers_with, one_leaf_each
from tests.security.matrix import EMAIL, ENTRIES, OWNER, SHIPPING, CaseContext, Prepare, Values
from tests.support.clock import eventually
from tests.support.events import SECRET, invoice_event
from tests.support.openapi import operations
from tests.support.portal import Portal, as_environment, published_document, settings_for
from tests.support.processes import Running, free_port, is_ready
from tests.support.raw_http import WEBHOOK, get, send_and_receive
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.proof

DOCUMENT = published_document()
OPERATIONS = operations(DOCUMENT)
PLANTED = [planted for planted, _ in CANARIES.values()]


def log_as_in_production() -> None:
    """Leave out messages of exceptions, as production does, which cannot use the sandbox."""
    setattr(environment, "configure", _without_messages)  # noqa: B010


def _without_messages(*, with_messages: bool, stream: Any = None) -> None:
    logging.configure(with_messages=False, stream=stream)


@dataclass
class LoggedPortal:
    """An API and a worker that write into files, with a buyer's, an operator's and a supporter's token."""

    portal: Portal
    context: CaseContext
    database: asyncpg.Connection
    logs: Path
    private: set[str]

    async def lines(self) -> str:
        return await asyncio.to_thread(lambda: "".join(p.read_text() for p in self.logs.glob("*.log")))

    async def until_logged(self, event: str) -> None:
        async def is_logged() -> bool:
            return f'"{event}"' in await self.lines()

        await eventually(is_logged)


@asynccontextmanager
async def running_logged_portal(
    database_url: str, database: asyncpg.Connection, sandbox: Sandbox, folder: Path
) -> AsyncIterator[LoggedPortal]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    secrets = await sandbox.register_webhook(url)
    settings = settings_for(database_url, sandbox.url)
    variables = {
        **as_environment(settings),
        "PORTAL_PORT": str(port),
        "PORTAL_WEBHOOK_SECRETS": json.dumps([SECRET, *secrets]),
    }
    processes = []
    for name in ("api", "worker"):
        log = folder / f"{name}.log"
        start = partial(Running.start, [name], variables, output=log, errors=log)
        processes.append(start(first=log_as_in_production))
    try:
        async with httpx.AsyncClient(base_url=url, timeout=15) as client:
            await eventually(lambda: is_ready(client))
            portal = Portal(url, client, settings)
            token = await sandbox.token(OWNER)
            private = {SECRET, *secrets, token["Authorization"], EMAIL, "sk_test_sandbox"}
            yield LoggedPortal(portal, CaseContext(portal, sandbox, token), database, folder, private)
    finally:
        for process in processes:
            await process.end(signal.SIGKILL)


async def plant_in_every_input(logged: LoggedPortal) -> None:
    """In all declared inputs: each kind by the buyer, some also by an operator or without a token."""
    operator = await logged.context.sandbox.token("op", scopes=["portal:ops", "portal:support"])
    logged.private.add(operator["Authorization"])

    async def plant(kind: int, planted: str) -> None:
        for number, (route, operation) in enumerate(OPERATIONS.items()):
            callers = [logged.context.owner]
            if number % 4 == kind % 4:
                callers += [operator, {"Authorization": f"Bearer {planted}"}]
            for caller in callers:
                for method, url, arguments in everywhere(DOCUMENT, route, operation, planted):
                    headers = {**arguments.pop("headers"), **caller}
                    await logged.portal.client.request(method, url, headers=headers, **arguments)

    await asyncio.gather(*(plant(kind, planted) for kind, planted in enumerate(PLANTED)))


async def plant_one_by_one_in_good_requests(logged: LoggedPortal) -> None:
    """A request that is valid except for one value gets further: to PostgreSQL and to Digital River."""
    # Reads first, deletions last: the data for a route is created once.
    routes = sorted(ENTRIES, key=lambda r: (r.endswith("/forget"), r.startswith("DELETE"), r[:3] != "GET"))
    prepared: dict[Prepare, Values] = {}
    for number, route in enumerate(routes):
        entry = ENTRIES[route]
        values = prepared.get(entry.prepare) or await entry.prepare(logged.context)
        prepared[entry.prepare] = values
        good = entry.send(values)
        caller = {**headers_with(PLANTED[number % len(PLANTED)]), **logged.context.owner}
        caller.pop("If-Match")
        caller.pop("If-None-Match")
        bodies = [{"json": body} for body in one_leaf_each(good["json"])] if "json" in good else []
        for arguments in (*bodies, good):
            caller["Idempotency-Key"] = f"{number}-{len(logged.private)}-{arguments!r:.60}".replace(" ", "")
            answer = await logged.context.request(route, caller, values, **arguments)
        assert answer.status_code < 400, f"{route}: {answer.text}"
        logged.private |= _links(answer)


def _links(answer: httpx.Response) -> set[str]:
    """The links in the answer: each opens a document without a token."""
    found = {answer.headers["Location"]} if answer.status_code == 303 else set()
    if answer.content and answer.headers.get("Content-Type") == "application/json":
        parts: list[Any] = [answer.json()]
        while parts:
            part = parts.pop()
            parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
            if isinstance(part, dict) and isinstance(part.get("link"), dict):
                found.add(part["link"]["url"])
    return found


async def plant_in_events(logged: LoggedPortal) -> None:
    """In authentic events of every kind, and in forged ones. The id and the type of an authentic event are
    Digital River's, and are logged on purpose."""
    for planted in PLANTED:
        personal = {"email": planted, "fileName": planted, "invoiceURL": planted, planted: planted}
        handled = invoice_event(**personal)
        unhandled = {**handled, "id": f"u-{handled['id']}", "type": "customer.created"}
        events: list[Any] = [
            handled,
            unhandled,
            invoice_event(fileId=planted, id=planted, **personal),
            invoice_event(orderId=planted, customerId=planted),
            invoice_event(orderId=None, **personal),
            invoice_event(orderId={planted: planted}),
            {**invoice_event(**personal), "data": planted},
            {**invoice_event(**personal), "liveMode": planted},
            {"type": planted, "data": planted},
            {"id": planted, "data": planted},
            {**handled, "createdTime": planted, "id": f"t-{handled['id']}"},
            planted,
        ]
        answers = await asyncio.gather(*(logged.portal.deliver(event) for event in events))
        assert {answer.status_code for answer in answers} == {202, 400}
        forged = {"id": planted, "type": planted, "data": planted}
        assert (await logged.portal.deliver(forged, secret=planted)).status_code == 401


async def plant_on_the_wire(logged: LoggedPortal) -> None:
    """In bytes that never become a request."""
    for planted in PLANTED:
        for broken in (
            f"{planted}\r\n\r\n",
            f"GET /{planted} HTTP/1.1\r\nA\0: {planted}\r\n\r\n",
            f"GET / HTTP/1.1\r\nA: {planted * 2000}\r\n\r\n",
            f"POST {WEBHOOK} HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nx{planted}\r\n",
        ):
            assert b"connection: close" in await send_and_receive(logged.portal, broken.encode())
        upgrade = ("Connection: Upgrade", f"Upgrade: {planted}")
        await send_and_receive(logged.portal, get("/health/live", *upgrade, f"Cookie: {planted}"))


@asynccontextmanager
async def refusing_rows(database: asyncpg.Connection, *tables: str) -> AsyncIterator[None]:
    """These tables refuse every row, and PostgreSQL's error message quotes the row."""
    for table in tables:
        await database.execute(f"ALTER TABLE {table} ADD CONSTRAINT refused CHECK (false) NOT VALID")
    try:
        yield
    finally:
        for table in tables:
            await database.execute(f"ALTER TABLE {table} DROP CONSTRAINT refused")


async def plant_in_mistakes_of_ours(logged: LoggedPortal) -> None:
    """In rows that make a statement fail: of the worker, of SQLAlchemy and of asyncpg."""
    sandbox = logged.context.sandbox
    async with refusing_rows(logged.database, "document"):
        await sandbox.invoiced(await sandbox.order(CANARIES["e-mail"][0]))
        await logged.until_logged("sqlalchemy.exc.IntegrityError")
    async with refusing_rows(logged.database, "webhook_event", "idempotent_request", "audit_record"):
        for planted in PLANTED:
            assert (await logged.portal.deliver(invoice_event(email=planted))).status_code == 500
            support = await sandbox.token(planted, scopes=["portal:support"])
            read = await logged.portal.get("/v1/documents", support, customerId=OWNER)
            assert read.status_code == 500, read.text
            once = {**logged.context.owner, "Idempotency-Key": planted}
            path = "/v1/customers/me/payment-sources"
            answer = await logged.portal.client.post(path, headers=once, json={"sourceId": planted})
            assert answer.status_code >= 422, answer.text


async def test_no_log_holds_anything_private_that_was_put_in_anywhere(
    own_database_url: str, own_database: asyncpg.Connection, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with running_logged_portal(own_database_url, own_database, sandbox, tmp_path) as logged:
        await plant_one_by_one_in_good_requests(logged)
        await asyncio.gather(plant_in_every_input(logged), plant_in_events(logged), plant_on_the_wire(logged))
        await plant_in_mistakes_of_ours(logged)
        await eventually(partial(are_all_tried, own_database))
        for event in ("event.done", "event.not_done", "unhandled_error", "connection.refused"):
            await logged.until_logged(event)
        text = await logged.lines()
    requests = {
        f"{line['method']} {line['route']}"
        for line in map(json.loads, text.splitlines())
        if line["event"] == "request"
    }
    assert requests >= set(OPERATIONS), "the logs are not those of this run"
    names = {str(SHIPPING["name"]), SHIPPING["phone"], SHIPPING["address"]["line1"], "DE123456789"}
    sought = {*(part for _, part in CANARIES.values()), *logged.private, *names}
    found = {value: _line_with(value, text) for value in sought if value in text}
    assert not found
    assert any(secret.startswith("http") for secret in logged.private), "no link was ever given"


async def are_all_tried(database: asyncpg.Connection) -> bool:
    """Whether the worker has claimed every event."""
    untouched = "SELECT count(*) FROM webhook_event WHERE state = 'pending' AND attempts = 0"
    return not await database.fetchval(untouched)


def _line_with(value: str, text: str) -> str:
    return next(line for line in text.splitlines() if value in line)
