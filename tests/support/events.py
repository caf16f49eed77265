"""Events of Digital River: signed and delivered ones, and ones that are listed but never delivered."""

import asyncio
import base64
import hashlib
import hmac
import time
from typing import Any
from uuid import uuid4

import asyncpg

from tests.support.sandbox import Json, Sandbox

SECRET = "whs_a_secret_for_tests"
INVOICE = "order.invoice.created"


def signed(body: bytes, *, secret: str = SECRET, timestamp: str | None = None) -> dict[str, str]:
    """The headers of a genuine delivery; an own reading of the documents, not the product's code."""
    stamp = timestamp or str(round(time.time() * 1000))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {"Content-Type": "application/json", "DigitalRiver-Signature": f"{stamp}, {signature}"}


def invoice_event(**changes: Any) -> Json:
    """An event as Digital River sends it; `changes` go into its object, `None` takes a field out."""
    file_id = str(uuid4())
    subject = {
        "id": file_id,
        "fileId": file_id,
        "orderId": str(uuid4().int)[:12],
        "customerId": f"customer-{uuid4().hex[:8]}",
        "purpose": "customer_invoice",
        "invoiceURL": f"https://api.digitalriver.com/files/{file_id}/content",
    } | changes
    return {
        "id": str(uuid4()),
        "type": "order.invoice.created",
        "data": {"object": {name: value for name, value in subject.items() if value is not None}},
        "liveMode": False,
        "createdTime": "2026-01-31T09:30:00.591115Z",
        "versionIds": [],
    }


async def operator_token(sandbox: Sandbox) -> dict[str, str]:
    return await sandbox.token("operator", scopes=["portal:ops"])


async def undelivered_events(sandbox: Sandbox, count: int, *, event_type: str = INVOICE) -> set[str]:
    """Events that are listed and never delivered."""

    async def one() -> str:
        subject = invoice_event()["data"]["object"]
        made = await sandbox.post(
            "/_sandbox/events", {"type": event_type, "object": subject, "deliver": False}
        )
        return str(made["id"])

    ids: set[str] = set()
    while len(ids) < count:
        ids |= set(await asyncio.gather(*(one() for _ in range(min(20, count - len(ids))))))
    return ids


async def kept_event_ids(database: asyncpg.Connection) -> set[str]:
    return {row["id"] for row in await database.fetch("SELECT id FROM webhook_event")}
