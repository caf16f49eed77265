"""A portal with two buyers and a Digital River that answers wrongly, and checks of what must stay true."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg
import httpx

from app.db.schema import metadata
from app.digital_river.errors import DigitalRiverError
from app.webhooks import sweep
from app.worker.handlers import HANDLERS
from tests.support.clock import eventually
from tests.support.portal import Portal, pass_time
from tests.support.sandbox import Json, Sandbox

ADA, GRACE, BARBARA = "ada", "grace", "barbara"
# In every text that Grace has anywhere.
CANARY = "Canarygrace"
# Members of our answers that change from one moment to the next; and an export's events: one that is listed
# under another id is another event, and is kept like any.
_FLEETING = frozenset({"link", "exportedAt", "generatedAt", "requestId", "events"})
# What no row may hold, wherever it came from; signed bodies are kept as they came.
_POISON = ("evil.invalid", "javascript:", "data:text", "\r\n", "\ud83d", "\\ud83d", "\\u0000")
_AS_IT_CAME = frozenset({("webhook_event", "body")})
_LONGEST_TEXT = 10_000
# Events that wait for their next attempt and are not claimed.
_IS_RESTING = "state = 'pending' AND reason IS NOT NULL AND jsonb_array_length(errors) = attempts"
_RESTING = f"SELECT id, attempts, reason FROM webhook_event WHERE {_IS_RESTING}"
# Compares once more, because a worker may have claimed the event by now, and would lose it.
_MAKE_DUE = f"UPDATE webhook_event SET due_at = now() WHERE id = ANY($1) AND {_IS_RESTING}"
GETS: Mapping[str, str] = {
    "/v1/customers/{customerId}": "",
    "/v1/customers/{customerId}/shipping-address": "",
    "/v1/customers/{customerId}/export": "",
    "/v1/customers/{customerId}/tax-identifiers": "",
    "/v1/customers/{customerId}/tax-certificates": "",
    "/v1/customers/{customerId}/payment-sources": "",
    "/v1/drop-in": "",
    "/v1/orders": "",
    "/v1/orders/{orderId}": "",
    "/v1/orders/{orderId}/tracking": "",
    "/v1/orders/{orderId}/refunds": "",
    "/v1/orders/{orderId}/documents": "",
    "/v1/documents": "",
    "/v1/documents/{documentId}": "",
    "/v1/documents/{documentId}/content": "?disposition=proxy",
}


@dataclass
class FullBuyer:
    """One buyer with something of each kind."""

    customer_id: str
    token: dict[str, str]
    order: Json
    ids: set[str] = field(default_factory=set)


@dataclass
class CheckedPortal:
    portal: Portal
    sandbox: Sandbox
    database: asyncpg.Connection
    ada: FullBuyer
    # What identifies Grace: her texts, and the ids of her data.
    canaries: set[str]
    document_id: str
    untampered: dict[str, Any]
    # Events that have been complained about.
    reported: set[str] = field(default_factory=set)
    # Events that may stay open, because what they announce is not there.
    waiting: set[str] = field(default_factory=set)

    async def tamper(self, kind: str, **more: Any) -> None:
        """Set this fault alone."""
        (await self.sandbox.client.delete("/_sandbox/faults")).raise_for_status()
        await self.sandbox.post("/_sandbox/faults", {"kind": kind, **more})

    async def stop_tampering(self) -> None:
        """Clear the fault, and let a quarter of an hour pass, after which stored refusals have expired."""
        (await self.sandbox.client.delete("/_sandbox/faults")).raise_for_status()
        # A worker that holds an event now would lose it to the clock, and with it the error of its attempt.
        await eventually(self._is_no_event_held)
        await pass_time(self.database, self.sandbox, 900)
        await self.portal.close_breaker()

    async def _is_no_event_held(self) -> bool:
        held = """SELECT count(*) FROM webhook_event WHERE state = 'pending' AND id <> ALL($1)
                  AND (due_at <= now() OR jsonb_array_length(errors) < attempts)"""
        return not await self.database.fetchval(held, self.waiting)

    def paths(self) -> Iterator[str]:
        values = {
            "customerId": ADA,
            "orderId": self.ada.order["id"],
            "documentId": self.document_id,
        }
        for template, query in GETS.items():
            yield template.format(**values)
            if query:
                yield template.format(**values) + query

    async def delete_cached_answers(self) -> None:
        """Make the portal ask Digital River again for links and for the documents of orders."""
        await self.database.execute("DELETE FROM file_link; DELETE FROM order_check")

    async def get(self, path: str) -> httpx.Response:
        """What Ada gets; an answer that broke off is one of status 599."""
        try:
            return await self.portal.get(path, self.ada.token)
        except httpx.HTTPError as error:
            return httpx.Response(599, text=f"the connection broke off: {type(error).__name__}")

    async def record_untampered_answers(self) -> None:
        for path in self.paths():
            answer = await self.portal.get(path, self.ada.token)
            self.untampered[path] = known(answer)
        content = f"/v1/documents/{self.document_id}/content"
        answer = await self.portal.get(content, self.ada.token, disposition="proxy")
        self.untampered["file"] = answer.content

    def leaks(self, path: str, answer: httpx.Response) -> list[str]:
        """Grace's data in an answer to Ada."""
        text = answer.text + json.dumps(dict(answer.headers))
        return [f"{path} leaks {one}" for one in sorted(self.canaries) if one in text]

    async def check_reads(self) -> list[str]:
        """What is wrong with Ada's reads while answers are tampered with."""
        await self.delete_cached_answers()
        found: list[str] = []
        for path in self.paths():
            answer = await self.get(path)
            if answer.status_code not in {200, 303, 404, 502, 503}:
                found.append(f"{path} answered {answer.status_code}: {answer.text[:200]}")
            found += self.leaks(path, answer)
            if answer.status_code == 303:
                found += await self.check_link(path, answer.headers["Location"])
        return found

    async def check_link(self, path: str, url: str) -> list[str]:
        """A link must lead to Ada's file at Digital River, or be absent."""
        if not url.startswith(f"{self.sandbox.url}/links/"):
            return [f"{path} leads to {url[:100]}"]
        opened = await self.sandbox.client.get(url)
        if opened.status_code == 200 and opened.content != self.untampered["file"]:
            return [f"{path} leads to another customer's file"]
        return []

    async def check_recovery(self, part: str = "") -> list[str]:
        """What differs from before after the tampering has ended, for paths that contain this part."""
        found: list[str] = []
        for path in self.paths():
            if part not in path:
                continue
            answer = await self.get(path)
            if (now := known(answer)) != self.untampered[path]:
                found.append(f"{path} is not as before: {difference(self.untampered[path], now)}")
        return found

    async def check_rows(self) -> list[str]:
        """Text in rows that no frontend, log or query should ever meet."""
        found: list[str] = []
        for table in metadata.sorted_tables:
            for row in await self.database.fetch(f"SELECT * FROM {table.name}"):
                for column, value in row.items():
                    if (table.name, column) in _AS_IT_CAME or not isinstance(value, str):
                        continue
                    poison = [one for one in _POISON if one in value]
                    if poison or len(value) > _LONGEST_TEXT:
                        found.append(f"{table.name}.{column} holds {poison or f'{len(value)} characters'}")
        return found

    async def check_events(self) -> list[str]:
        """Each event is done soon, or buried with a reason found without days of trying. What was announced
        and is not there may come any day: looked for once more, it may wait."""
        before = {row["id"]: row["attempts"] for row in await self.database.fetch(_RESTING)}

        async def is_settled() -> bool:
            resting = await self.database.fetch(_RESTING)
            self.waiting |= {
                row["id"]
                for row in resting
                if row["reason"].startswith("Missing") and row["attempts"] > before.get(row["id"], 0)
            }
            due = [row["id"] for row in resting if row["id"] not in self.waiting]
            await self.database.execute(_MAKE_DUE, due)
            if due:
                await self.database.execute("NOTIFY portal_inbox")
            pending = "SELECT count(*) FROM webhook_event WHERE state = 'pending' AND id <> ALL($1)"
            return not await self.database.fetchval(pending, self.waiting)

        with contextlib.suppress(AssertionError):
            await eventually(is_settled)
        rows = await self.database.fetch("SELECT id, type, state, reason FROM webhook_event")
        bad = [
            row
            for row in rows
            if row["id"] not in self.reported | self.waiting
            and row["state"] not in {"done", "ignored"}
            and not _is_judged(row["state"], row["reason"])
        ]
        # Reported once, and not waited for again.
        self.reported |= {row["id"] for row in bad}
        self.waiting |= self.reported
        return [f"{row['type']} is {row['state']}: {row['reason']}" for row in bad]

    async def sweep(self) -> list[str]:
        """Sweep as an operator would. Tampered answers may make it fail with an error of our own types."""
        assert self.portal.app is not None
        try:
            await sweep.sweep_now(self.portal.app.state.resources, HANDLERS, timedelta(days=1))
        except DigitalRiverError:
            return []
        except Exception as error:
            return [f"the sweep broke: {type(error).__name__}: {error}"]
        return []


def _is_judged(state: str, reason: str | None) -> bool:
    return state == "buried" and bool(reason) and not str(reason).startswith("given up")


def known(answer: httpx.Response) -> tuple[int, Any]:
    """Status and what lasts of the body."""
    if "json" not in answer.headers.get("Content-Type", ""):
        return answer.status_code, answer.text if answer.status_code == 599 else len(answer.content)
    return answer.status_code, _lasting(answer.json())


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(inner) for name, inner in value.items() if name not in _FLEETING}
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value


def difference(before: Any, now: Any) -> str:
    """The first place where two answers differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                return f"{name}: {difference(before.get(name), now.get(name))}"
    if isinstance(before, list | tuple) and isinstance(now, list | tuple) and len(before) == len(now):
        pairs = zip(before, now, strict=True)
        return next(difference(one, other) for one, other in pairs if one != other)
    return f"{str(before)[:150]} became {str(now)[:150]}"


async def make_buyer(portal: Portal, sandbox: Sandbox, customer_id: str, mark: str) -> FullBuyer:
    """With profile, tax identifier, certificate, saved card, parcel, invoice and credit memo."""
    token, http = await sandbox.token(customer_id), portal.client
    address = {"line1": f"1 {mark} Road", "city": mark, "postalCode": "55343", "state": "MN", "country": "US"}
    shipping = {"name": mark, "phone": "952-111-1111", "address": address}
    profile = {"email": f"{mark}@example.com", "locale": "en-US"}
    me = f"/v1/customers/{customer_id}"
    (await http.put("/v1/customers/me", headers=token, json=profile)).raise_for_status()
    (await http.put(f"{me}/shipping-address", headers=token, json=shipping)).raise_for_status()
    number = {"type": "de", "value": f"DE{hash(mark) % 1_000_000_000:09}"}
    tax = await http.post(f"{me}/tax-identifiers", headers=token, json=number)
    certificate = {"company": mark, "authority": "MN", "startDate": "2026-01-01", "endDate": "2030-12-31"}
    file = {"file": ("exempt.pdf", b"%PDF-1.7\n%%EOF\n", "application/pdf")}
    answer = await http.post(f"{me}/tax-certificates", headers=token, data=certificate, files=file)
    answer.raise_for_status()
    owner = {"firstName": mark, "lastName": mark, "email": f"{mark}@example.com", "address": address}
    source = await sandbox.post("/_sandbox/sources", {"owner": owner})
    await sandbox.post(f"/customers/{customer_id}/sources/{source['id']}")
    order = await sandbox.order(
        customer_id,
        email=f"{mark}@example.com",
        items=[{"name": mark, "price": 20, "quantity": 2, "metadata": {"note": mark}}],
        shipTo={"address": address, "name": mark},
        billTo={"address": address, "name": mark},
        metadata={"note": mark},
    )
    await sandbox.post(f"/_sandbox/orders/{order['id']}/shipments", {"trackingNumber": f"1Z{mark}"})
    file_id = await sandbox.invoiced(order)
    await sandbox.refund(order, percent=50)
    documents = await portal.documents(token, 2)
    ids = {order["id"], source["id"], tax.raise_for_status().json()["id"], file_id}
    ids |= {document["id"] for document in documents} | {item["id"] for item in order["items"]}
    return FullBuyer(customer_id, token, order, ids)
