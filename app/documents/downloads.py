"""PDFs that pass through this process, and how many may do so at once.

Each holds one of the few connections to Digital River for as long as its reader takes. So one buyer has few
of them, all buyers together leave most connections to others, and none lasts longer than DOWNLOAD_SECONDS.
"""

import asyncio
from collections import Counter as Tally
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
# An invoice takes a second or two.
RETRY_SECONDS = 5.0

REFUSED = Counter(
    "portal_downloads_refused", "Proxied downloads refused, by whose limit was reached.", ["by"]
)


class DownloadLimiter:
    """The downloads under way in this process."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.proxied_downloads
        self._most_per_buyer = settings.proxied_downloads_per_buyer
        self._under_way: Tally[str] = Tally()

    @property
    def under_way(self) -> int:
        """How many there are."""
        return self._under_way.total()

    @contextmanager
    def one(self, who: str) -> Iterator[None]:
        """For the length of a download by `who`.

        Raises:
            TooManyRequests: they have too many under way.
            Unavailable: all together have.
        """
        if self._under_way[who] >= self._most_per_buyer:
            REFUSED.labels("buyer").inc()
            raise TooManyRequests(
                "Too many documents are being downloaded. Wait until one is complete.",
                retry_after=RETRY_SECONDS,
            )
        if self.under_way >= self._most:
            REFUSED.labels("process").inc()
            raise ServiceUnavailable(retry_after=RETRY_SECONDS)
        self._under_way[who] += 1
        try:
            yield
        finally:
            self._under_way[who] -= 1
            if not self._under_way[who]:
                del self._under_way[who]


class StreamedFile(Response):
    """The file as Digital River sends it, piece by piece. Its failures before the first byte are problems
    like any other, because the far side is asked when the response starts, not before."""

    def __init__(
        self, client: DigitalRiverClient, document: Document, downloads: DownloadLimiter, who: str
    ) -> None:
        super().__init__()
        self._far = client
        self._document = document
        self._downloads = downloads
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            with self._downloads.one(self._who):
                await self._stream(send, is_head=is_head(scope))

    async def _stream(self, send: Send, *, is_head: bool) -> None:
        async with files.stream_content(self._far, self._document.file_id) as download:
            headers = [
                # Never what the far side says it is: a browser shall not render anything else from here.
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
    # RFC 6266: the plain name for old clients in ASCII, the real one percent-encoded. No name is a path.
    file_name = file_name.translate(str.maketrans("/\\", "__"))
    plain = "".join(c if c.isascii() and c.isprintable() and c != '"' else "_" for c in file_name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
