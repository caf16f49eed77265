"""Describes one call: path, parameters, body, deadlines, retries and the headers that identify the caller."""

import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from app.digital_river.errors import Missing


@dataclass(frozen=True)
class Path:
    """A path at Digital River. `template` (`/orders/{id}`) may be logged, `text` contains identifiers."""

    template: str
    text: str


def path(template: str, **identifiers: str) -> Path:
    """The path in which each identifier is exactly one segment.

    Raises:
        Missing: an identifier cannot be a segment, so no resource can have it.
    """
    return Path(template, template.format_map({name: _segment(text) for name, text in identifiers.items()}))


def _segment(identifier: str) -> str:
    # "" and dots would address the collection or its parent: clients and proxies resolve them even if quoted.
    if identifier in {"", ".", ".."}:
        raise Missing
    try:
        return quote(identifier, safe="")
    except UnicodeEncodeError:
        raise Missing from None


MAX_RETRIES = 2
FIRST_DELAY = 0.4
LONGEST_DELAY = 2.0
RETRYABLE_METHODS = frozenset({"GET", "HEAD", "DELETE"})

Params = Mapping[str, str | int | Sequence[str] | None]
"""Query parameters: None is left out, a sequence repeats the name of its parameter."""

_RANDOM = random.SystemRandom()


@dataclass(frozen=True)
class Deadlines:
    """Deadlines of a call, in seconds.

    `pool` covers the wait for a connection and connecting; `read` the wait for the next bytes, also of a
    stream; `total` the whole call with queues and retries, until the JSON body is read or a stream begins.
    aiohttp has no deadline for writing: `total` and `upload` bound it.
    """

    connect: float = 3.0
    pool: float = 5.0
    read: float = 8.0
    total: float = 10.0
    upload: float = 60.0


DEFAULT_DEADLINES = Deadlines()


@dataclass(frozen=True)
class Download:
    """A file being received. `length` is in bytes or None. Reading `chunks` may raise Unavailable."""

    content_type: str | None
    length: int | None
    chunks: AsyncIterator[bytes]


class _WatchedFile:
    """A file that keeps the error of a failed read, because aiohttp reports it as a broken connection."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@dataclass(frozen=True)
class Upload:
    """A file to send. `file` stands at its beginning, and reading it must not block the event loop."""

    file_name: str
    content_type: str
    file: BinaryIO


@dataclass(frozen=True)
class Caller:
    """Who causes a call: the id of the request that the portal serves, and the buyer's IP address if known.

    With the id, an operator can follow one request from the browser into Digital River's logs.
    """

    request_id: str
    forwarded_for: str | None = None


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller_headers() -> dict[str, str]:
    """`upstream-id` always, `forwarded` if the buyer's IP address is known (Spec intro, request headers)."""
    caller = CALLER.get() or Caller(request_id=str(uuid.uuid4()))
    headers = {"upstream-id": caller.request_id}
    if caller.forwarded_for is None:
        return headers
    try:
        address = ip_address(caller.forwarded_for)
    except ValueError:
        return headers
    # RFC 7239 §6: an IPv6 address is bracketed and quoted.
    node = f'"[{address}]"' if isinstance(address, IPv6Address) else str(address)
    return headers | {"forwarded": f"for={node}"}


@dataclass
class Call:
    """One call, and how many attempts were made. `total` is its deadline in seconds."""

    method: str
    path: Path
    total: float
    params: Params | None = None
    json: Mapping[str, object] | None = None
    # With an upload, the form contains `fields` and then the file.
    fields: Mapping[str, str] | None = None
    upload: Upload | None = None
    headers: dict[str, str] = field(default_factory=caller_headers)
    attempts: int = 0
    # A stream holds its connection longer than the call lasts, and acquires it itself.
    holds_connection: bool = False
    _file: _WatchedFile | None = field(default=None, init=False)

    def may_retry(self, *, had_no_effect: bool) -> bool:
        """A POST may be retried only if the first one had no effect, an upload never."""
        if self.attempts > MAX_RETRIES or self.upload is not None:
            return False
        return had_no_effect or self.method in RETRYABLE_METHODS

    def files(self) -> dict[str, tuple[str, BinaryIO, str]] | None:
        """The upload in the form that httpx expects, None without an upload."""
        if (upload := self.upload) is None:
            return None
        self._file = _WatchedFile(upload.file)
        return {"file": (upload.file_name, cast(BinaryIO, self._file), upload.content_type)}

    @property
    def read_error(self) -> OSError | None:
        """Why the upload could not be read here, if it could not."""
        return None if self._file is None else self._file.error

    def delay(self, retry_after: float | None) -> float:
        """Seconds before the next attempt: exponential with full jitter, and at least `retry_after`."""
        longest = min(FIRST_DELAY * 2 ** (self.attempts - 1), LONGEST_DELAY)
        return max(_RANDOM.uniform(0, longest), retry_after or 0.0)

    def query(self) -> tuple[tuple[str, str], ...]:
        """The parameters as pairs.

        Raises:
            ValueError: a filter is empty; Digital River would ignore it and return the data of all customers.
        """
        pairs: list[tuple[str, str]] = []
        for name, value in (self.params or {}).items():
            values = [value] if isinstance(value, str | int) else (value or [])
            pairs += [(name, str(item)) for item in values]
        for name, text in pairs:
            if not text:
                raise ValueError(f"an empty filter: {name}")
        return tuple(pairs)
