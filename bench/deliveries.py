"""Events as Digital River delivers them: signed, and as large as usual."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from bench.load import request
from bench.processes import SECRET

PATH = "/webhooks/digital-river"
# The portal keeps the body of such an event, as the floor does. Of others it keeps only a digest.
HANDLED_TYPE = "order.invoice.created"
OTHER_TYPE = "order.updated"


def deliveries(count: int, event_type: str = HANDLED_TYPE) -> Sequence[bytes]:
    """Requests that deliver different events. Their signatures are valid for five minutes."""
    subject = {"id": "188418250336", "note": "x" * 300}
    return [delivery(event(event_type, subject)) for _ in range(count)]


def invoice_event(file_id: str) -> dict[str, Any]:
    """The event that announces this file."""
    subject = {"id": file_id, "fileId": file_id, "orderId": "188418250336", "customerId": "ada"}
    return event(HANDLED_TYPE, subject)


def event(event_type: str, subject: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "type": event_type,
        "liveMode": False,
        "createdTime": "2026-01-31T09:30:00Z",
        "data": {"object": subject},
    }


def delivery(event: dict[str, Any]) -> bytes:
    """The request that delivers the event."""
    body = json.dumps(event).encode()
    return request("POST", PATH, sign(body), body)


def sign(body: bytes) -> dict[str, str]:
    """The headers of a genuine delivery."""
    timestamp = str(round(time.time() * 1000))
    digest = hmac.digest(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "DigitalRiver-Signature": f"{timestamp}, {base64.b64encode(digest).decode()}",
    }
