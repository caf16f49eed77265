"""Uploads are compared while they stream: never whole in memory, and independent of the boundary."""

import tracemalloc
from collections.abc import AsyncIterator, Sequence

import asyncpg
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from app.idempotency.fingerprint import Fingerprint, FingerprintedBody
from tests.support.counted_routes import UPLOADS, CountedWork

Token = dict[str, str]


def form(boundary: str, content: bytes) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


async def upload(
    api: httpx.AsyncClient, token: Token, content: bytes, boundary: str = "first"
) -> httpx.Response:
    headers = {
        **token,
        "Idempotency-Key": "k1",
        "Content-Type": f"multipart/form-data; boundary={boundary}",
    }
    return await api.post(UPLOADS, headers=headers, content=form(boundary, content))


async def test_the_same_file_in_another_form_is_the_same_request(
    api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    first = await upload(api, ada, b"%PDF-1.7 certificate")
    again = await upload(api, ada, b"%PDF-1.7 certificate", boundary="----WebKitFormBoundary7MA4YWxk")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(work.done) == 1


async def test_another_file_under_the_same_key_is_refused(
    api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    await upload(api, ada, b"%PDF-1.7 certificate")
    for other in (b"%PDF-1.7 certificatE", b"%PDF", b"%PDF-1.7 certificate" * 1000):
        assert (await upload(api, ada, other)).status_code == 422
    assert len(work.done) == 1


async def test_an_upload_that_was_refused_before_its_end_leaves_the_key_free(
    api: httpx.AsyncClient, work: CountedWork, ada: Token
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"refused", b"never", b"read"):
            yield part

    headers = {**ada, "Idempotency-Key": "k1", "Content-Type": "multipart/form-data; boundary=b"}
    assert (await api.post(UPLOADS, headers=headers, content=parts())).status_code == 400
    assert (await upload(api, ada, b"accepted")).status_code == 200
    assert len(work.done) == 1


@pytest.mark.proof
async def test_an_upload_and_its_repeat_are_never_held_in_memory(
    api: httpx.AsyncClient, work: CountedWork, ada: Token, database: asyncpg.Connection
) -> None:
    part, count = b"x" * 65_536, 320

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield part

    headers = {**ada, "Idempotency-Key": "k1", "Content-Type": "multipart/form-data; boundary=b"}
    tracemalloc.start()
    try:
        answers = [await api.post(UPLOADS, headers=headers, content=parts()) for _ in range(2)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [answer.json() for answer in answers] == [f"upload of {len(part) * count} 1"] * 2
    assert peak < len(part) * count / 4


async def fingerprint_of(parts: Sequence[bytes], boundary: str) -> Fingerprint:
    waiting = list(parts)

    async def receive() -> Message:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    body = FingerprintedBody(receive, f'multipart/form-data; boundary="{boundary}"')
    await body.read_rest(at_most=10**9, seconds=5)
    return body.fingerprint


@given(
    parts=st.lists(st.sampled_from([b"a", b"b", b"-", b"ab", b"--ab", b"aba"]), min_size=1, max_size=12),
    cut=st.integers(0, 40),
)
async def test_the_fingerprint_does_not_depend_on_the_chunks(parts: list[bytes], cut: int) -> None:
    body = b"".join(parts)
    bytewise = [body[at : at + 1] for at in range(len(body))]
    for boundary in ("ab", "--ab", "a", "aba"):
        whole = await fingerprint_of([body], boundary)
        for pieces in (bytewise, parts, [body[:cut], body[cut:]]):
            assert await fingerprint_of(pieces, boundary) == whole


@given(
    st.lists(st.binary(max_size=20).filter(lambda part: b"#" not in part and b"@" not in part), max_size=5)
)
async def test_the_fingerprint_does_not_depend_on_the_boundary(parts: list[bytes]) -> None:
    bodies = [mark.join([b"", *parts, b""]) for mark in (b"##", b"@@@")]
    first, second = [
        await fingerprint_of([body], mark) for body, mark in zip(bodies, ("##", "@@@"), strict=True)
    ]
    assert first == second
