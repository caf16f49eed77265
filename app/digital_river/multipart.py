"""A multipart/form-data body that is written while it is read, so that no file is ever whole in memory."""

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Upload:
    """A file on its way: `length` in bytes must be what `chunks` yields in total."""

    file_name: str
    content_type: str
    length: int
    chunks: AsyncIterator[bytes]


class UploadLengthError(ValueError):
    """The chunks of an upload do not add up to its length."""


class MultipartBody:
    """Text fields, then one part named `file` (RFC 7578).

    Iterating raises UploadLengthError when the upload is not as long as it says. What interrupts it is
    kept in `failure`, because HTTP clients report it as a broken connection.
    """

    def __init__(self, fields: Mapping[str, str], upload: Upload) -> None:
        boundary = uuid.uuid4().hex
        self._upload = upload
        parts = [_part(boundary, f'name="{_quoted(name)}"', None) + text for name, text in fields.items()]
        disposition = f'name="file"; filename="{_quoted(upload.file_name)}"'
        parts.append(_part(boundary, disposition, upload.content_type))
        self._head = "\r\n".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(len(self._head) + upload.length + len(self._tail)),
        }
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            yield self._head
            async for chunk in self._file():
                yield chunk
            yield self._tail
        except Exception as failure:
            self.failure = failure
            raise

    async def _file(self) -> AsyncIterator[bytes]:
        written = 0
        async for chunk in self._upload.chunks:
            written += len(chunk)
            if written > self._upload.length:
                break
            yield chunk
        if written != self._upload.length:
            raise UploadLengthError("the upload is not as long as it says")


def _part(boundary: str, disposition: str, content_type: str | None) -> str:
    kind = f"\r\nContent-Type: {content_type}" if content_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}{kind}\r\n\r\n"


def _quoted(text: str) -> str:
    # As browsers do (WHATWG HTML, multipart/form-data encoding).
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
