"""One call as it is meant, before anything of it has left."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import quote

from app.digital_river.client.caller import caller_headers
from app.digital_river.errors import Missing


@dataclass(frozen=True)
class Path:
    """A path of the far side. `template` (`/orders/{id}`) may be logged, `text` holds identifiers."""

    template: str
    text: str


def path(template: str, **identifiers: str) -> Path:
    """The template with each identifier in it as exactly one path segment.

    Raises:
        Missing: an identifier that cannot be a segment, and therefore names nothing.
    """
    return Path(template, template.format_map({name: _segment(text) for name, text in identifiers.items()}))


def _segment(identifier: str) -> str:
    # "" and dots would address the collection or a parent: clients and proxies resolve them even when quoted.
    if identifier in {"", ".", ".."}:
        raise Missing
    try:
        return quote(identifier, safe="")
    except UnicodeEncodeError:
        raise Missing from None


MOST_REPEATS = 2
FIRST_DELAY = 0.4
LONGEST_DELAY = 2.0
REPEATABLE = frozenset({"GET", "HEAD", "DELETE"})

Params = Mapping[str, str | int | Sequence[str] | None]
"""Query parameters: None is left out, a sequence repeats its name."""

_DICE = random.SystemRandom()


@dataclass(frozen=True)
class Deadlines:
    """Seconds.

    `pool` covers waiting for a connection and making it; `read` the silence before the next bytes, also of a
    stream; `total` everything until a JSON answer is read or a stream begins, queues and repeats included.
    aiohttp has no deadline for writing of its own: `total` and `upload` bound it.
    """

    connect: float = 3.0
    pool: float = 5.0
    read: float = 8.0
    total: float = 10.0
    upload: float = 60.0


USUAL_DEADLINES = Deadlines()


@dataclass(frozen=True)
class Download:
    """A file on its way. `length` is in bytes, None when unknown; reading `chunks` may raise Unavailable."""

    content_type: str | None
    length: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True)
class Upload:
    """A file to send, which `file` can read from its beginning, on the event loop."""

    file_name: str
    content_type: str
    file: BinaryIO


@dataclass
class Call:
    """What to ask, and how often that was tried."""

    method: str
    path: Path
    seconds: float
    params: Params | None = None
    json: Mapping[str, object] | None = None
    # With an upload, `fields` and then the file are the form that is sent.
    fields: Mapping[str, str] | None = None
    upload: Upload | None = None
    headers: dict[str, str] = field(default_factory=caller_headers)
    attempts: int = 0
    # One that outlives the call, for an answer that is read as it arrives.
    has_connection: bool = False

    def may_repeat(self, *, nothing_happened: bool) -> bool:
        """A POST is repeated only when the first one cannot have had an effect, an upload never."""
        if self.attempts > MOST_REPEATS or self.upload is not None:
            return False
        return nothing_happened or self.method in REPEATABLE

    def files(self) -> dict[str, tuple[str, BinaryIO, str]] | None:
        """The upload as httpx takes it, None when there is none."""
        if (upload := self.upload) is None:
            return None
        return {"file": (upload.file_name, upload.file, upload.content_type)}

    def delay(self, retry_after: float | None) -> float:
        """Seconds before the next attempt: exponential, full jitter, not before the far side asked for it."""
        longest = min(FIRST_DELAY * 2 ** (self.attempts - 1), LONGEST_DELAY)
        return max(_DICE.uniform(0, longest), retry_after or 0.0)

    def query(self) -> tuple[tuple[str, str], ...]:
        """The parameters as pairs.

        Raises:
            ValueError: an empty filter, which Digital River would take for none and answer with everybody's.
        """
        pairs: list[tuple[str, str]] = []
        for name, value in (self.params or {}).items():
            values = [value] if isinstance(value, str | int) else (value or [])
            pairs += [(name, str(one)) for one in values]
        for name, text in pairs:
            if not text:
                raise ValueError(f"an empty filter: {name}")
        return tuple(pairs)
