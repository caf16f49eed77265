"""Streams PDFs from Digital River through this process, and limits how many downloads run at once.

A download holds one of the few connections to Digital River for as long as the client reads. So each caller
and the process have a limit, and no download lasts longer than DOWNLOAD_SECONDS.
"""

import asyncio
import collections
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from prometheus_client import Counter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.digital_river.api import files
from app.digital_river.client.http_client import DigitalRiverClient
from app.documents.store import Document
from app.settings import Settings
from app.web.middleware import is_head
from app.web.problems import ServiceUnavailable, TooManyRequests

DOWNLOAD_SECONDS = 120.0
# A download usually takes a second or two.
RETRY_SECONDS = 5.0

REFUSED = Counter(
    "portal_downloads_refused", "Proxied downloads refused, by whose limit was reached.", ["by"]
)


class DownloadLimiter:
    """Counts the active downloads of this process, and refuses those beyond the limits."""

    def __init__(self, settings: Settings) -> None:
        self._max_total = settings.proxied_downloads
        self._max_per_caller = settings.proxied_downloads_per_buyer
        self._active: collections.Counter[str] = collections.Counter()

    @property
    def active(self) -> int:
        """How many downloads are active."""
        return self._active.total()

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Count one download of the caller for the length of the block. `caller` is a principal's name.

        Raises:
            TooManyRequests: the caller has as many active downloads as one caller may have.
            ServiceUnavailable: the process has as many as it may have.
        """
        if self._active[caller] >= self._max_per_caller:
            REFUSED.labels("buyer").inc()
            raise TooManyRequests(
                "Too many documents are being downloaded. Wait until one is complete.",
                retry_after=RETRY_SECONDS,
            )
        if self.active >= self._max_total:
            REFUSED.labels("process").inc()
            raise ServiceUnavailable(retry_after=RETRY_SECONDS)
        self._active[caller] += 1
        try:
            yield
        finally:
            self._active[caller] -= 1
            if not self._active[caller]:
                del self._active[caller]


class StreamedFile(Response):
    """The file, streamed as Digital River sends it. It calls Digital River when the response starts, so an
    error before the first byte becomes a problem document as in any other route."""

    def __init__(
        self, client: DigitalRiverClient, document: Document, limiter: DownloadLimiter, caller: str
    ) -> None:
        super().__init__()
        self._client = client
        self._document = document
        self._limiter = limiter
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            with self._limiter.slot(self._caller):
                await self._stream(send, is_head=is_head(scope))

    async def _stream(self, send: Send, *, is_head: bool) -> None:
        async with files.stream_content(self._client, self._document.file_id) as download:
            headers = [
                # Always PDF, even if Digital River says otherwise: a browser must not render HTML from here.
                (b"content-type", b"application/pdf"),
                (b"content-disposition", _content_disposition(self._document.file_name).encode("ascii")),
            ]
            if download.length is not None:
                headers.append((b"content-length", str(download.length).encode()))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if not is_head:
                async for chunk in download.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _content_disposition(file_name: str) -> str:
    # RFC 6266: an ASCII name for old clients, and the real name percent-encoded. A name must not be a path.
    file_name = file_name.translate(str.maketrans("/\\", "__"))
    ascii_name = "".join(c if c.isascii() and c.isprintable() and c != '"' else "_" for c in file_name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(file_name, safe='')}"
