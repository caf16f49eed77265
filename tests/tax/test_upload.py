"""An upload is read to disk, not to memory, however the network splits it."""

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from starlette.requests import Request
from starlette.types import Message

from app.tax.upload import MAX_FILE_BYTES, read_form
from app.web.problems import Problem

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="company"\r\n\r\nAda & Co\r\n'
END = b"\r\n--b--\r\n"
PIECE = 64 * 1024


def request(pieces: Iterable[bytes]) -> Request:
    """A request whose body is made while it is read."""
    left = iter(pieces)

    async def receive() -> Message:
        piece = next(left, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def large_file() -> Iterator[bytes]:
    yield FIELD + HEAD
    yield b"%PDF-1.7".ljust(PIECE, b" ")
    for _ in range(MAX_FILE_BYTES // PIECE - 1):
        yield b" " * PIECE
    yield END


@pytest.mark.proof
async def test_the_largest_file_is_never_whole_in_memory() -> None:
    tracemalloc.start()
    try:
        async with read_form(request(large_file())) as form:
            assert form.upload is not None
            sent = 0
            while chunk := form.upload.file.read(PIECE):
                sent += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == MAX_FILE_BYTES
    assert peak < MAX_FILE_BYTES / 8


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_it_does_not_matter_how_the_network_cuts_a_form(size: int) -> None:
    content = b"%PDF-1.7\r\n--a\r\n-\r\n --b\n--b\r" * 20
    body = FIELD + HEAD + content + END
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    async with read_form(request(pieces)) as form:
        assert form.fields == {"company": "Ada & Co"}
        assert form.upload is not None
        assert form.upload.file.read() == content


async def test_a_wrong_file_is_refused_at_its_first_bytes() -> None:
    read = 0

    def pieces() -> Iterator[bytes]:
        nonlocal read
        for piece in (HEAD, b"MZ not a PDF", *([b" " * PIECE] * 50)):
            read += 1
            yield piece

    with pytest.raises(Problem, match="neither a PDF"):
        async with read_form(request(pieces())):
            pass
    assert read == 2


@pytest.mark.parametrize("start", [FIELD + END, FIELD + HEAD + b"%PDF-1.7 and more" + END])
async def test_what_follows_the_end_of_a_form_is_bounded_too(start: bytes) -> None:
    with pytest.raises(Problem, match="at most 10 MB"):
        async with read_form(request([start, *([b" " * PIECE] * (MAX_FILE_BYTES // PIECE + 2))])):
            pass
