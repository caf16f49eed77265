"""Two requests have the same fingerprint if, and only if, they mean the same."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from app.idempotency.fingerprint import MAX_JSON_BYTES, Fingerprint, FingerprintedBody


async def fingerprint_of(
    body: bytes | Sequence[bytes], content_type: str = "application/json", query: str = ""
) -> Fingerprint:
    waiting = [body] if isinstance(body, bytes) else list(body)

    async def receive() -> Message:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    watched = FingerprintedBody(receive, content_type, query)
    await watched.read_rest(at_most=10**9, seconds=5)
    return watched.fingerprint


async def are_same(one: bytes, other: bytes, content_type: str = "application/json") -> bool:
    found = [await fingerprint_of(body, content_type) for body in (one, other)]
    return found[0].matches(found[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":[2,3]}', b' {"b" : [2, 3], "a": 1}\n'),
        (b"[1,100,0,-1]", b"[1.0,1e2,-0.0,-1.000]"),
        (b"0.1", b"1e-1"),
        (b'"\xc3\xbc \\/"', b'"\\u00fc /"'),
        (b'{"a":{"x":1,"y":2}}', b'{"a":{"y":2,"x":1}}'),
    ],
)
async def test_json_is_compared_by_its_meaning(one: bytes, other: bytes) -> None:
    assert await are_same(one, other)
    assert await are_same(one, other, "application/merge-patch+json; charset=utf-8")
    assert not await are_same(one, other, "text/plain")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"[1,2]", b"[2,1]"),
        (b"1", b'"1"'),
        (b"1", b"true"),
        (b"null", b"{}"),
        (b'{"a":null}', b"{}"),
        (b"9007199254740993", b"9007199254740992.0"),
        (b"0.1", b"0.10000000000000001e1"),
        (b"", b"null"),
        (b"{", b"{ "),
        (b"[" * 200_000, b"[" * 200_000 + b" "),
        (b"1" * 5000, b"1" * 5000 + b" "),
        (b'"' + b"x" * MAX_JSON_BYTES + b'"', b'"' + b"x" * MAX_JSON_BYTES + b'" '),
    ],
    ids=lambda body: body[:24].decode() + "…" * (len(body) > 24),
)
async def test_other_json_and_text_that_is_not_json_are_other_requests(one: bytes, other: bytes) -> None:
    assert not await are_same(one, other)
    assert await are_same(one, one)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    cut=st.integers(0, 60),
)
async def test_a_value_is_itself_however_it_is_written_and_cut(value: Any, cut: int) -> None:
    plain = json.dumps(value, ensure_ascii=True).encode()
    other = json.dumps(value, ensure_ascii=True, indent=3).encode()
    whole = await fingerprint_of(plain)
    assert (await fingerprint_of([other[:cut], other[cut:]])).matches(whole)


async def test_the_query_belongs_to_the_request_in_any_order() -> None:
    first = await fingerprint_of(b"", query="a=1&b=x%20y")
    assert (await fingerprint_of(b"", query="b=x+y&a=1")).matches(first)
    for other in ("", "a=1", "a=1&b=x%20y&c=", "a=1&b=xy"):
        assert not (await fingerprint_of(b"", query=other)).matches(first)
