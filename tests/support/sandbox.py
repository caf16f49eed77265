"""The sandbox as a process of its own, and a client of it."""

import asyncio
import json
import runpy
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import httpx

from app.worker.handlers import HANDLERS
from tests.support import forks
from tests.support.clock import eventually
from tests.support.http import http_client

Json = dict[str, Any]


@dataclass
class Sandbox:
    """A client of the sandbox: Digital River's API with the secret key, and the control API."""

    url: str
    client: httpx.AsyncClient
    # Signing a token costs as much as all else that many tests do.
    _tokens: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **params: Any) -> Json:
        answer: Json = (await self.client.get(path, params=params)).raise_for_status().json()
        return answer

    async def all_of(self, path: str, **filters: str) -> list[Json]:
        """Every page of a list."""
        found: list[Json] = []
        page: Json = {"hasMore": True}
        while page["hasMore"]:
            after = {"startingAfter": found[-1]["id"]} if found else {}
            page = await self.get(path, limit=100, **filters, **after)
            found += page["data"]
        return found

    async def post(self, path: str, body: Json | None = None) -> Json:
        response = (await self.client.post(path, json=body or {})).raise_for_status()
        answer: Json = response.json() if response.content else {}
        return answer

    async def reset(self) -> None:
        await self.post("/_sandbox/reset")

    async def token(self, customer_id: str, **more: Any) -> dict[str, str]:
        """The header of a token for this customer. The same call gives the same token, which is good for an
        hour; a token with a lifetime of its own is always a new one."""
        wanted = {"customerId": customer_id, **more}
        name = json.dumps(wanted)
        token = self._tokens.get(name)
        if token is None:
            token = (await self.post("/_sandbox/tokens", wanted))["accessToken"]
            if "expiresIn" not in more:
                self._tokens[name] = token
        return {"Authorization": f"Bearer {token}"}

    async def order(self, customer_id: str | None = "ada", **more: Any) -> Json:
        """An order as a buyer's checkout makes it; without a customer id it is a guest's."""
        owner = {} if customer_id is None else {"customerId": customer_id}
        item = {"name": "Desk lamp", "price": 49.9, "quantity": 2}
        return await self.post("/_sandbox/orders", {"items": [item], **owner, **more})

    async def fulfil(self, order: Json) -> None:
        """Capture all of it: an invoice follows."""
        items = [{"itemId": item["id"], "quantity": item["quantity"]} for item in order["items"]]
        await self.post("/fulfillments", {"orderId": order["id"], "items": items})

    async def invoiced(self, order: Json) -> str:
        """Capture all of it and wait; returns the invoice's file id."""
        await self.fulfil(order)

        async def pdfs() -> list[Json]:
            found: list[Json] = (await self.get(f"/orders/{order['id']}")).get("invoicePDFs") or []
            return found

        file_id: str = (await eventually(pdfs))[0]["id"]
        return file_id

    async def refund(self, order: Json, percent: int = 100) -> None:
        """Give the money back: a credit memo follows. The order must be complete."""

        async def is_complete() -> bool:
            return bool((await self.get(f"/orders/{order['id']}"))["state"] == "complete")

        await eventually(is_complete)
        await self.post(
            "/refunds", {"orderId": order["id"], "currency": order["currency"], "percent": percent}
        )

    async def fault(self, kind: str, *, times: int | None = None, **more: Any) -> None:
        """Set a fault; arguments that do not describe the fault itself describe its target."""
        about_fault = (
            *("seconds", "status", "retryAfter", "copies", "until", "afterwards", "fields"),
            *("variant", "seed"),
        )
        fault = {name: more.pop(name) for name in about_fault if name in more}
        await self.post("/_sandbox/faults", {"kind": kind, "target": more, "times": times, **fault})

    async def count(self, call: str) -> int:
        """How often a call like `POST /file-links` arrived."""
        counts: dict[str, int] = (await self.get("/_sandbox/requests"))["counts"]
        return counts.get(call, 0)

    async def register_webhook(self, url: str, types: Sequence[str] = tuple(HANDLERS)) -> list[str]:
        """Deliver events of these types to the portal at `url`; returns Digital River's signing secrets."""
        address = f"{url}/webhooks/digital-river"
        webhook = await self.post("/webhooks", {"types": list(types), "address": address})
        secrets: list[str] = (await self.get(f"/_sandbox/webhooks/{webhook['id']}/secrets"))["secrets"]
        return secrets

    async def deliver_to(self, url: str, secret: str) -> None:
        """Deliver events to the portal at `url`, which trusts this secret."""
        address = f"{url}/webhooks/digital-river"
        await self.post("/_sandbox/webhooks", {"types": list(HANDLERS), "address": address, "secret": secret})


def _be_sandbox() -> None:
    sys.argv = ["sandbox", "--port", "0"]
    runpy.run_module("sandbox", run_name="__main__")


def _first_line(pipe: Connection) -> str:
    with open(pipe.fileno(), closefd=False) as lines:
        return lines.readline()


@asynccontextmanager
async def running_sandbox(**environment: str) -> AsyncIterator[Sandbox]:
    """A sandbox as a process of its own, by default fast and without a rate limit."""
    quick = {
        "SANDBOX_TETHER": "1",
        "SANDBOX_CAPTURE_DELAY": "0.02",
        "SANDBOX_RETRY_DELAY": "0.1",
        "SANDBOX_RATE_LIMIT": "0",
    }
    announced, announcing = forks.pipe()
    process = forks.start(_be_sandbox, {**quick, **environment}, output=announcing)
    announcing.close()
    with announced:
        url = json.loads(await asyncio.to_thread(_first_line, announced))["url"]
    try:
        headers = {"Authorization": "Bearer sk_test_sandbox"}
        async with http_client(url, headers=headers) as client:
            yield Sandbox(url, client)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
