"""Reads the form that hands in a certificate: piece by piece, the file onto disk, never whole in memory."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from app.digital_river.multipart import Upload
from app.tax.spool import Spool
from app.web.bodies import late
from app.web.problems import Invalid, Malformed, TooLarge, UnsupportedMedia
from app.web.validation import pointer_to

# Digital River docs, Files: PDF, JPG or PNG of at most 10 MB.
LARGEST_FILE = 10 * 1024 * 1024
LARGEST_BODY = LARGEST_FILE + 64 * 1024
LONGEST_FIELD = 1024
MOST_PARTS = 16
LONGEST_FILE_NAME = 120
# 10 MB at 1 Mbit/s.
SECONDS = 90.0
PIECE = 64 * 1024

Kind = Literal["pdf", "jpg", "png"]

_BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    (b"%PDF-", "pdf"),
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
)
_LONGEST_BEGINNING = max(len(beginning) for beginning, _ in _BEGINNINGS)
_MEDIA_TYPES: dict[Kind, str] = {"pdf": "application/pdf", "jpg": "image/jpeg", "png": "image/png"}
_EXTENSIONS: dict[str, Kind] = {"pdf": "pdf", "jpg": "jpg", "jpeg": "jpg", "png": "png"}
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f]")


@dataclass
class Form:
    """A form that was read to its end: its texts by name, and its file, if there was one, with a SHA-256."""

    fields: dict[str, str] = field(default_factory=dict)
    upload: Upload | None = None
    digest: bytes = b""


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[Form]:
    """The form of this request, for as long as the block lasts.

    Raises:
        UnsupportedMedia: it is no multipart form, or compressed.
        TooLarge: the file is, or the whole form.
        RequestTimeout: it did not arrive in time.
        Malformed: it is no form, or its end is missing.
        Invalid: a part is not what it must be, or the file is not what its name says.
        InsufficientStorage: there is no room for the file here.
    """
    boundary = _boundary(request)
    with Spool() as spool:
        reader = _Reader(boundary, spool)
        try:
            async with asyncio.timeout(SECONDS):
                await _read(request, reader)
        except TimeoutError:
            raise late(f"The form was not complete after {SECONDS:g} seconds.") from None
        yield reader.form()


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMedia(hint="Send the form as multipart/form-data.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia(hint="Send the form without Content-Encoding.")
    announced = request.headers.get("content-length", "0")
    if len(announced) > len(str(LARGEST_BODY)) or not announced.isdigit() or int(announced) > LARGEST_BODY:
        raise _too_large()
    return options[b"boundary"]


async def _read(request: Request, reader: "_Reader") -> None:
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > LARGEST_BODY:
                raise _too_large()
            reader.take(piece)
    except ClientDisconnect:
        raise Malformed(hint="The connection ended before the form was complete.") from None
    except MultipartParseError:
        raise Malformed(hint="The body is not a multipart form.") from None
    if not reader.is_complete:
        raise Malformed(hint="The form has no end.")


class _Reader:
    """Takes a form piece by piece. A wrong beginning of the file is noticed before its end has arrived."""

    def __init__(self, boundary: bytes, spool: Spool) -> None:
        self.is_complete = False
        self._spool = spool
        self._fields: dict[str, str] = {}
        self._parts = 0
        self._file_name: str | None = None
        self._kind: Kind | None = None
        self._length = 0
        self._hash = hashlib.sha256()
        self._header = [b"", b""]
        self._disposition = b""
        self._name = ""
        self._text = b""
        self._is_file = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._add_to_header(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._add_to_header(1, data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": lambda data, start, end: self._take_data(data[start:end]),
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def take(self, piece: bytes) -> None:
        """Read on. Raises Invalid, Malformed, TooLarge or MultipartParseError."""
        self._parser.write(piece)

    def form(self) -> Form:
        """What was read."""
        if self._file_name is None or self._kind is None:
            return Form(self._fields)
        self._spool.rewind()
        chunks = _chunks(self._spool.read)
        upload = Upload(self._file_name, _MEDIA_TYPES[self._kind], self._length, chunks)
        return Form(self._fields, upload, self._hash.digest())

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Malformed(hint="The form has too many parts.")
        self._header = [b"", b""]
        self._disposition = b""
        self._text = b""

    def _add_to_header(self, side: int, data: bytes) -> None:
        self._header[side] += data

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = [b"", b""]

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = _text(options.get(b"name", b""))
        self._is_file = self._name == "file"
        if self._name in self._fields or (self._is_file and self._file_name is not None):
            raise _at(self._name, "This may be given once.")
        if self._is_file:
            self._file_name = _safe_name(_text(options.get(b"filename", b"")))

    def _take_data(self, data: bytes) -> None:
        if not self._is_file:
            self._text += data
            if len(self._text) > LONGEST_FIELD:
                raise _at(self._name, "This is too long.")
            return
        if self._kind is None:
            # Only until there is enough of it to tell what it is.
            self._text += data
            if len(self._text) < _LONGEST_BEGINNING:
                return
            data = self._text
            self._recognise()
        self._keep(data)

    def _end_part(self) -> None:
        if self._is_file and self._kind is None:
            self._recognise()
            self._keep(self._text)
        elif not self._is_file:
            self._fields[self._name] = _text(self._text)

    def _end(self) -> None:
        self.is_complete = True

    def _recognise(self) -> None:
        begins = (kind for beginning, kind in _BEGINNINGS if self._text.startswith(beginning))
        self._kind = next(begins, None)
        if self._kind is None:
            raise _at("file", "This is neither a PDF, nor a JPG, nor a PNG.")
        extension = (self._file_name or "").rpartition(".")[2].lower()
        if _EXTENSIONS.get(extension) != self._kind:
            raise _at("file", f"The content is a {self._kind.upper()}, the name says something else.")

    def _keep(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > LARGEST_FILE:
            raise _too_large()
        self._hash.update(data)
        self._spool.write(data)


async def _chunks(read: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(read, PIECE):
        yield piece


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Malformed(hint="The form holds text that is not UTF-8.") from None
    if "\0" in text:
        raise Malformed(hint="The form holds U+0000, which no text can hold.")
    return text


def _safe_name(name: str) -> str:
    """The last part of a path, without control characters; the end of it when it is too long."""
    last = re.split(r"[/\\]", name)[-1]
    return _NOT_IN_NAMES.sub("", last)[-LONGEST_FILE_NAME:]


def _at(name: str, detail: str) -> Invalid:
    return Invalid.at(pointer_to(name[:100]), detail)


def _too_large() -> TooLarge:
    return TooLarge("The file may have at most 10 MB.")
