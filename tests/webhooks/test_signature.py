"""The rules of webhook signatures, as properties and with known vectors."""

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.server import MAX_HEAD_BYTES
from app.webhooks.signature import InvalidSignature, SignatureFault, verify

NOW = 1_800_000_000.0
TOLERANCE = 300.0
TOKEN = b"whs_test_token_0001"
EVENT = b'{"id":"c902f8aa-16fb-44ba-ba7b-f3c84061685a","type":"order.invoice.created"}'

secrets = st.binary(min_size=1, max_size=64)
bodies = st.binary(max_size=512)


def header(body: bytes, secret: bytes, timestamp: str) -> str:
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).digest()
    return f"{timestamp}, {base64.b64encode(digest).decode()}"


def verdict(
    body: bytes, value: str | None, secrets: list[bytes], now: float = NOW, tolerance: float = TOLERANCE
) -> SignatureFault:
    with pytest.raises(InvalidSignature) as refused:
        verify(body, value, secrets, now, tolerance)
    return refused.value.fault


@pytest.mark.parametrize(
    ("timestamp", "body", "signature", "signed_at"),
    [
        ("1619575453591", EVENT, "qOifnG5P9cLKoES+3AjjLjmLrjzfvZvdNgavd6n1KXI=", 1619575453.591),
        ("1619575453", b"{}", "NLcO5CxXrH3ODMBnAvqgXURsSXQUNf93f9h+ddE2yXQ=", 1619575453),
    ],
)
def test_known_vectors_verify(timestamp: str, body: bytes, signature: str, signed_at: float) -> None:
    assert verify(body, f"{timestamp}, {signature}", [TOKEN], signed_at, TOLERANCE) == 0


@given(bodies, secrets)
def test_what_a_known_secret_signed_verifies(body: bytes, secret: bytes) -> None:
    assert verify(body, header(body, secret, str(int(NOW))), [secret], NOW, TOLERANCE) == 0


@given(bodies, secrets, st.integers(min_value=0, max_value=10_000), st.integers(1, 255))
def test_one_changed_byte_of_the_body_is_refused(body: bytes, secret: bytes, at: int, change: int) -> None:
    value = header(body, secret, str(int(NOW)))
    at %= len(body) + 1
    tampered = body + b"!" if at == len(body) else body[:at] + bytes([body[at] ^ change]) + body[at + 1 :]
    assert verdict(tampered, value, [secret]) is SignatureFault.WRONG


@given(bodies, secrets, secrets)
def test_another_secret_is_refused(body: bytes, secret: bytes, other: bytes) -> None:
    # HMAC pads keys with zeros: a secret that differs only in these is the same key.
    if secret.rstrip(b"\0") != other.rstrip(b"\0"):
        assert verdict(body, header(body, other, str(int(NOW))), [secret]) is SignatureFault.WRONG


@given(st.text(max_size=300), bodies)
def test_every_header_text_is_verified_or_refused(value: str, body: bytes) -> None:
    assert verdict(body, value, [TOKEN]) in set(SignatureFault)


@given(st.floats(min_value=-900, max_value=900))
def test_tolerance_holds_in_both_directions(offset: float) -> None:
    value = header(b"{}", TOKEN, str(round((NOW + offset) * 1000)))
    if abs(offset) < TOLERANCE - 0.01:
        assert verify(b"{}", value, [TOKEN], NOW, TOLERANCE) == 0
    elif abs(offset) > TOLERANCE + 0.01:
        assert verdict(b"{}", value, [TOKEN]) is SignatureFault.STALE


def test_the_last_moment_of_the_tolerance_counts() -> None:
    value = header(b"{}", TOKEN, str(int(NOW)))
    for now in (NOW - TOLERANCE, NOW + TOLERANCE):
        assert verify(b"{}", value, [TOKEN], now, TOLERANCE) == 0


@pytest.mark.parametrize(
    "timestamp",
    [
        str(int(NOW)),
        str(int(NOW * 1000)),
        datetime.fromtimestamp(NOW, UTC).isoformat(),
        datetime.fromtimestamp(NOW, timezone(timedelta(hours=9))).isoformat(),
        datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%dT%H:%M:%S.123Z"),
    ],
)
def test_seconds_milliseconds_and_iso_times_are_read(timestamp: str) -> None:
    assert verify(b"{}", header(b"{}", TOKEN, timestamp), [TOKEN], NOW, TOLERANCE) == 0


def test_a_time_without_a_zone_is_utc_wherever_we_run(monkeypatch: pytest.MonkeyPatch) -> None:
    value = header(b"{}", TOKEN, datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None).isoformat())
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert verify(b"{}", value, [TOKEN], NOW, TOLERANCE) == 0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("timestamp", ["", "soon", "12", "²²²²²²²²²²", "18000000000", "99999999999999999999"])
def test_a_timestamp_that_says_no_time_is_refused_even_if_signed(timestamp: str) -> None:
    assert verdict(b"{}", header(b"{}", TOKEN, timestamp), [TOKEN]) is SignatureFault.MALFORMED


def test_a_time_at_the_edge_of_the_calendar_is_merely_long_ago() -> None:
    assert verdict(b"{}", header(b"{}", TOKEN, "0001-01-01T00:00+23:59"), [TOKEN]) is SignatureFault.STALE


def test_one_signature_by_a_live_secret_is_enough_and_names_the_secret() -> None:
    new, old = b"new secret", b"old secret"
    stamp = str(int(NOW))
    both = f"{header(b'{}', b'unknown', stamp)},{header(b'{}', old, stamp).split(', ')[1]}"
    assert verify(b"{}", both, [new, old], NOW, TOLERANCE) == 1


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_header_has_its_own_reason_in_the_log(value: str | None) -> None:
    assert verdict(b"{}", value, [TOKEN]) is SignatureFault.MISSING


@given(st.integers(0, 340), st.integers(0, 340))
def test_any_signature_counts_wherever_it_stands_among_many(before: int, after: int) -> None:
    stamp = str(int(NOW))
    foreign = header(b"{}", b"ended long ago", stamp).partition(", ")[2]
    ours = header(b"{}", TOKEN, stamp).partition(", ")[2]
    many = ", ".join([stamp, *[foreign] * before, ours, *[foreign] * after])
    assert verify(b"{}", many, [b"another", TOKEN], NOW, TOLERANCE) == 1
    none = ", ".join([stamp, *[foreign] * (before + after + 1)])
    assert verdict(b"{}", none, [b"another", TOKEN]) is SignatureFault.WRONG


def test_a_head_full_of_signatures_costs_no_more_than_a_body() -> None:
    """As long as the server lets in, with everything in it that could be compared."""
    digits = base64.b64encode(bytes(32)).decode()
    heads = [f"{NOW:.0f}" + part * (MAX_HEAD_BYTES // len(part)) for part in (",", ",x", f",{digits}")]
    secrets = [bytes([number]) * 32 for number in range(1, 11)]
    for head in heads:
        began = time.process_time()
        assert verdict(b"{}", head, secrets) is SignatureFault.WRONG
        assert time.process_time() - began < 0.05
