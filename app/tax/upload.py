"""Reads the upload form of a certificate in chunks, with the file on disk: no request fills the memory."""

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
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_BODY_BYTES = MAX_FILE_BYTES + 64 * 1024
MAX_BYTES_IN_MEMORY = 128 * 1024
MAX_FIELD_BYTES = 1024
MAX_PARTS = 16
MAX_FILE_NAME_LENGTH = 120
# 10 MB at 1 Mbit/s.
FORM_SECONDS = 90.0
CHUNK_BYTES = 64 * 1024

FileType = Literal["pdf", "jpg", "png"]

_MAGIC_NUMBERS: tuple[tuple[bytes, FileType], ...] = (
    (b"%PDF-", "pdf"),
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
)
_LONGEST_MAGIC_NUMBER = max(len(first_bytes) for first_bytes, _ in _MAGIC_NUMBERS)
_MEDIA_TYPES: dict[FileType, str] = {"pdf": "application/pdf", "jpg": "image/jpeg", "png": "image/png"}
_EXTENSIONS: dict[str, FileType] = {"pdf": "pdf", "jpg": "jpg", "jpeg": "jpg", "png": "png"}
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")

log = structlog.get_logger(__name__)


@dataclass
class CertificateForm:
    """A complete form: its text fields by name, and its file with the SHA-256 of it, if there is a file."""

    fields: dict[str, str] = field(default_factory=dict)
    upload: Upload | None = None
    digest: bytes = b""


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[CertificateForm]:
    """The form of this request. The file is closed when the block ends.

    Raises:
        UnsupportedMedia: the body is not a multipart form, or it is compressed.
        TooLarge: the file or the whole form is too large.
        RequestTimeout: the form did not arrive within FORM_SECONDS.
        Malformed: the body cannot be parsed as a form, or its end is missing.
        Invalid: a part is wrong, or the content of the file does not match its name.
        InsufficientStorage: the file cannot be stored on the local disk.
    """
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    if media_type != b"multipart/form-data" or not options.get(b"boundary"):
        raise UnsupportedMedia(hint="Send the form as multipart/form-data.")
    try:
        async with asyncio.timeout(FORM_SECONDS):
            with disk_errors():
                parts = await _FormParser(request).parse()
    except TimeoutError:
        raise body_timeout(f"The form was not complete after {FORM_SECONDS:g} seconds.") from None
    except TooLarge:
        raise _too_large() from None
    except MultiPartException:
        raise Malformed(hint="The body is not a multipart form.") from None
    try:
        yield await _read_parts(parts)
    finally:
        await parts.close()


class _FormParser(MultiPartParser):
    """Starlette's parser with our limits. It also rejects a wrong file at its first bytes, and a missing end.

    It decodes all texts as Latin-1, which has a character for every byte. With UTF-8, Starlette would accept
    invalid bytes and read them as Latin-1. `_decode_text` decodes the texts as UTF-8 afterwards.
    """

    spool_max_size = MAX_BYTES_IN_MEMORY

    def __init__(self, request: Request) -> None:
        headers = Headers({"content-type": f"{request.headers['content-type']}; charset=latin-1"})
        chunks = self._chunks(request)
        # Starlette's error for too many parts has no type of its own, so `on_part_begin` counts them.
        super().__init__(headers, chunks, max_files=inf, max_fields=inf, max_part_size=MAX_FIELD_BYTES)
        self._parts = 0
        self._first_bytes = b""
        self._is_complete = False

    async def _chunks(self, request: Request) -> AsyncGenerator[bytes, None]:
        async for chunk in stream_body(request, MAX_BODY_BYTES):
            yield chunk
        # Raised here, inside `parse`, because there Starlette closes the files after an error.
        if not self._is_complete:
            raise Malformed(hint="The form has no end.")

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Malformed(hint="The form has too many parts.")

    def on_headers_finished(self) -> None:
        try:
            super().on_headers_finished()
        except MultiPartException:
            raise _field_error("", "This part has no name.") from None

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        try:
            super().on_part_data(data, start, end)
        except MultiPartException:
            raise _field_error(_decode_text(part.field_name), "This is too long.") from None
        if part.file is None or part.field_name != "file" or len(self._first_bytes) >= _LONGEST_MAGIC_NUMBER:
            return
        self._first_bytes += data[start:end][:_LONGEST_MAGIC_NUMBER]
        if len(self._first_bytes) >= _LONGEST_MAGIC_NUMBER:
            _detect_type(self._first_bytes, _file_name(part.file))

    def on_end(self) -> None:
        self._is_complete = True


async def _read_parts(parts: FormData) -> CertificateForm:
    form = CertificateForm()
    for name, value in ((_decode_text(name), value) for name, value in parts.multi_items()):
        if name in form.fields or (name == "file" and form.upload is not None):
            raise _field_error(name, "This may be given once.")
        if name != "file":
            form.fields[name] = await _read_text(name, value)
        elif isinstance(value, str):
            raise _field_error(name, "A file is needed here.")
        else:
            form.upload, form.digest = await _read_file(value)
    return form


async def _read_text(name: str, value: str | UploadFile) -> str:
    """The text of a field. Some clients give text a file name, for example browsers that append a Blob."""
    if isinstance(value, str):
        return _decode_text(value)
    if (value.size or 0) > MAX_FIELD_BYTES:
        raise _field_error(name, "This is too long.")
    with disk_errors():
        return _decode_text((await value.read()).decode("latin-1"))


async def _read_file(part: UploadFile) -> tuple[Upload, bytes]:
    size = part.size or 0
    if size > MAX_FILE_BYTES:
        raise _too_large()
    name = _file_name(part)
    with disk_errors():
        file_type = _detect_type(await part.read(_LONGEST_MAGIC_NUMBER), name)
        await part.seek(0)
        # A spooled file moves to the disk when httpx asks for its length. A small file need not.
        file = part.file if size > MAX_BYTES_IN_MEMORY else BytesIO(await part.read())
        digest = await asyncio.to_thread(_hash_file, file)
    return Upload(name, _MEDIA_TYPES[file_type], file), digest


def _hash_file(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.digest()


def _detect_type(first_bytes: bytes, file_name: str) -> FileType:
    file_type = next(
        (file_type for start, file_type in _MAGIC_NUMBERS if first_bytes.startswith(start)), None
    )
    if file_type is None:
        raise _field_error("file", "This is neither a PDF, nor a JPG, nor a PNG.")
    if _EXTENSIONS.get(file_name.rpartition(".")[2].lower()) != file_type:
        raise _field_error("file", f"The content is a {file_type.upper()}, the name says something else.")
    return file_type


@contextmanager
def disk_errors() -> Iterator[None]:
    """Report a full, missing or read-only temporary folder, or a bad disk. Otherwise `is_outage` would
    take it for an outage of PostgreSQL."""
    try:
        yield
    except OSError as error:
        log.error("upload.not_spooled", reason=errno.errorcode.get(error.errno or 0, type(error).__name__))
        raise InsufficientStorage from None


def _decode_text(latin_1: str) -> str:
    try:
        text = latin_1.encode("latin-1").decode()
    except UnicodeError:
        raise Malformed(hint="The form holds text that is not UTF-8.") from None
    if "\0" in text:
        raise Malformed(hint="The form holds U+0000, which no text can hold.")
    return text


def _file_name(part: UploadFile) -> str:
    """The last part of the path, without control characters. If it is too long, only its end."""
    last = re.split(r"[/\\]", _decode_text(part.filename or ""))[-1]
    return _CONTROL_CHARACTERS.sub("", last)[-MAX_FILE_NAME_LENGTH:]


def _field_error(name: str, detail: str) -> Invalid:
    return Invalid.at(pointer_to(name[:100]), detail)


def _too_large() -> TooLarge:
    return TooLarge("The file may have at most 10 MB.")
