"""Reads the form that hands in a certificate: piece by piece, the file onto disk, never whole in memory."""

import asyncio
import errno
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from math import inf
from typing import BinaryIO, Literal

import structlog
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from app.digital_river.client.request import Upload
from app.web.problems import InsufficientStorage, Invalid, Malformed, TooLarge, UnsupportedMedia
from app.web.request_body import body_timeout, stream_body
from app.web.validation import pointer_to

# Digital River docs, Files: PDF, JPG or PNG of at most 10 MB.
LARGEST_FILE = 10 * 1024 * 1024
LARGEST_BODY = LARGEST_FILE + 64 * 1024
LARGEST_IN_MEMORY = 128 * 1024
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

log = structlog.get_logger(__name__)


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
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMedia(hint="Send the form as multipart/form-data.")
    try:
        async with asyncio.timeout(SECONDS):
            with _disk_errors():
                parts = await _FormParser(request).parse()
    except TimeoutError:
        raise body_timeout(f"The form was not complete after {SECONDS:g} seconds.") from None
    except TooLarge:
        raise _too_large() from None
    except MultiPartException:
        raise Malformed(hint="The body is not a multipart form.") from None
    try:
        yield await _form(parts)
    finally:
        await parts.close()


class _FormParser(MultiPartParser):
    """Starlette's parser with our limits. It also notices a wrong file at its first bytes, and a missing end.

    All texts come out of it as Latin-1, which has a character for every byte: from UTF-8, Starlette falls
    back to Latin-1 where it should refuse. `_text` makes them what they are.
    """

    spool_max_size = LARGEST_IN_MEMORY

    def __init__(self, request: Request) -> None:
        headers = Headers({"content-type": f"{request.headers['content-type']}; charset=latin-1"})
        pieces = self._pieces(request)
        # Starlette's refusals of too many parts do not say what they are: `on_part_begin` counts.
        super().__init__(headers, pieces, max_files=inf, max_fields=inf, max_part_size=LONGEST_FIELD)
        self._parts = 0
        self._beginning = b""
        self._is_complete = False

    async def _pieces(self, request: Request) -> AsyncGenerator[bytes, None]:
        async for piece in stream_body(request, LARGEST_BODY):
            yield piece
        # Raised where the parser closes its files.
        if not self._is_complete:
            raise Malformed(hint="The form has no end.")

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Malformed(hint="The form has too many parts.")

    def on_headers_finished(self) -> None:
        try:
            super().on_headers_finished()
        except MultiPartException:
            raise _at("", "This part has no name.") from None

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        try:
            super().on_part_data(data, start, end)
        except MultiPartException:
            raise _at(_text(part.field_name), "This is too long.") from None
        if part.file is None or part.field_name != "file" or len(self._beginning) >= _LONGEST_BEGINNING:
            return
        self._beginning += data[start:end][:_LONGEST_BEGINNING]
        if len(self._beginning) >= _LONGEST_BEGINNING:
            _recognise(self._beginning, _file_name(part.file))

    def on_end(self) -> None:
        self._is_complete = True


async def _form(parts: FormData) -> Form:
    form = Form()
    for name, value in ((_text(name), value) for name, value in parts.multi_items()):
        if name in form.fields or (name == "file" and form.upload is not None):
            raise _at(name, "This may be given once.")
        if (name == "file") is isinstance(value, str):
            raise _at(name, "A file is needed here." if name == "file" else "Text is needed here.")
        if isinstance(value, str):
            form.fields[name] = _text(value)
        else:
            form.upload, form.digest = await _upload(value)
    return form


async def _upload(part: UploadFile) -> tuple[Upload, bytes]:
    size = part.size or 0
    if size > LARGEST_FILE:
        raise _too_large()
    name = _file_name(part)
    with _disk_errors():
        kind = _recognise(await part.read(_LONGEST_BEGINNING), name)
        await part.seek(0)
        # A spooled file goes onto the disk when httpx asks it for its length: this one is small enough.
        file = part.file if size > LARGEST_IN_MEMORY else BytesIO(await part.read())
        digest = await asyncio.to_thread(_digest, file)
    return Upload(name, _MEDIA_TYPES[kind], file), digest


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    file.seek(0)
    return digest.digest()


def _recognise(beginning: bytes, file_name: str) -> Kind:
    kind = next((kind for start, kind in _BEGINNINGS if beginning.startswith(start)), None)
    if kind is None:
        raise _at("file", "This is neither a PDF, nor a JPG, nor a PNG.")
    if _EXTENSIONS.get(file_name.rpartition(".")[2].lower()) != kind:
        raise _at("file", f"The content is a {kind.upper()}, the name says something else.")
    return kind


@contextmanager
def _disk_errors() -> Iterator[None]:
    """A full, missing or read-only folder for temporary files; unnamed, its errors look like PostgreSQL's."""
    try:
        yield
    except OSError as error:
        log.error("upload.not_spooled", reason=errno.errorcode.get(error.errno or 0, type(error).__name__))
        raise InsufficientStorage from None


def _text(latin: str) -> str:
    try:
        text = latin.encode("latin-1").decode()
    except UnicodeError:
        raise Malformed(hint="The form holds text that is not UTF-8.") from None
    if "\0" in text:
        raise Malformed(hint="The form holds U+0000, which no text can hold.")
    return text


def _file_name(part: UploadFile) -> str:
    """The last part of a path, without control characters; the end of it when it is too long."""
    last = re.split(r"[/\\]", _text(part.filename or ""))[-1]
    return _NOT_IN_NAMES.sub("", last)[-LONGEST_FILE_NAME:]


def _at(name: str, detail: str) -> Invalid:
    return Invalid.at(pointer_to(name[:100]), detail)


def _too_large() -> TooLarge:
    return TooLarge("The file may have at most 10 MB.")
