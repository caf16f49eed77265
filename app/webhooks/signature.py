"""Checks that a delivery comes from Digital River. It does no I/O.

Source of the format: Digital River's Salesforce cartridge, `checkSignature`, and the docs page
"Digital River signature": `DigitalRiver-Signature: <timestamp>, <signature>[, <signature> …]`, each
signature the Base64 HMAC-SHA256 of `<timestamp>.<raw body>`.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

HEADER = "DigitalRiver-Signature"
# The Base64 text of the 32 bytes of SHA-256.
SIGNATURE_LENGTH = 44
SECONDS_DIGITS = 10
MILLISECONDS_DIGITS = 13


class SignatureFault(StrEnum):
    """Why a delivery is refused, for our log and metrics; the answer to the sender does not say it."""

    MISSING = "missing"
    MALFORMED = "malformed"
    WRONG = "wrong"
    STALE = "stale"


class InvalidSignature(Exception):
    """Nothing proves that Digital River sent this delivery, or that it sent it just now."""

    def __init__(self, fault: SignatureFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def verify(body: bytes, header: str | None, secrets: Sequence[bytes], now: float, tolerance: float) -> int:
    """Return the index of the secret that signed `body`, `now` in seconds since 1970.

    The tolerance counts in both directions: a timestamp in the future is as wrong as an old one.

    Raises:
        InvalidSignature: the signature is missing, malformed, wrong or stale.
    """
    if header is None or not header.strip():
        raise InvalidSignature(SignatureFault.MISSING)
    timestamp, *parts = [part.strip() for part in header.split(",")]
    signed_at = _seconds(timestamp)
    if not parts or signed_at is None:
        raise InvalidSignature(SignatureFault.MALFORMED)
    # One for each active secret at Digital River. The server's limit for headers allows about a hundred.
    signatures = [signature.encode() for signature in parts if len(signature) == SIGNATURE_LENGTH]
    secret = _matching_secret(f"{timestamp}.".encode() + body, signatures, secrets)
    if secret is None:
        raise InvalidSignature(SignatureFault.WRONG)
    # Digital River signs every retry anew, so a tolerance of a few minutes accepts every genuine delivery.
    if abs(now - signed_at) > tolerance:
        raise InvalidSignature(SignatureFault.STALE)
    return secret


def _signature(message: bytes, secret: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret, message, hashlib.sha256))


def _matching_secret(message: bytes, signatures: Sequence[bytes], secrets: Sequence[bytes]) -> int | None:
    found: int | None = None
    for index, secret in enumerate(secrets):
        expected = _signature(message, secret)
        for signature in signatures:
            # Every pair is compared, so that the duration does not reveal which pair matched.
            if hmac.compare_digest(expected, signature) and found is None:
                found = index
    return found


def _seconds(timestamp: str) -> float | None:
    """Seconds since 1970 from epoch seconds, milliseconds or ISO 8601: Digital River documents no unit."""
    if timestamp.isascii() and timestamp.isdigit():
        if len(timestamp) == SECONDS_DIGITS:
            return float(timestamp)
        return float(timestamp) / 1000 if len(timestamp) == MILLISECONDS_DIGITS else None
    try:
        instant = datetime.fromisoformat(timestamp)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
