"""The signature of a webhook delivery."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sandbox.runtime.runtime import Runtime
from sandbox.settings import SignatureTimestamp
from sandbox.state.clock import iso_time_milliseconds
from sandbox.state.store import Secret


def signature_header(body: bytes, secrets: Iterable[str], timestamp: str) -> str:
    """`timestamp, sig1[, sig2…]`: base64 HMAC-SHA256 over `timestamp.body` (Digital River docs, Webhooks)."""
    signed = timestamp.encode() + b"." + body
    signatures = (
        base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode() for secret in secrets
    )
    return ", ".join((timestamp, *signatures))


def signature_timestamp(unit: SignatureTimestamp, seconds: float) -> str:
    match unit:
        case "milliseconds":
            return str(int(seconds * 1000))
        case "seconds":
            return str(int(seconds))
        case "iso":
            return iso_time_milliseconds(datetime.fromtimestamp(seconds, UTC))


def active_secrets(runtime: Runtime, webhook_id: str) -> list[str]:
    """The secrets that sign now, newest first. Secrets expire by the real clock, like signatures."""
    now = datetime.now(UTC)
    kept: Sequence[Secret] = runtime.store.signing_secrets.get(webhook_id, [])
    return [secret.value for secret in kept if secret.expires is None or secret.expires > now]
