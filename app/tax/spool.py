"""Where a file waits on its way: in memory while it is small, else on disk. Its failures are its own."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile

import structlog

from app.web.problems import InsufficientStorage

IN_MEMORY = 128 * 1024

log = structlog.get_logger(__name__)


class Spool:
    """One file; nobody else sees it, and it is gone when the block ends.

    Everything raises InsufficientStorage when the folder for temporary files is full, missing or read-only:
    the errors of the operating system look as if PostgreSQL could not be reached.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `__exit__`

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        # What is still to be written has nobody who waits for it.
        with suppress(OSError):
            self._file.close()

    def write(self, data: bytes) -> None:
        """On the event loop: pieces of a body go to the page cache in microseconds."""
        with _told_apart():
            self._file.write(data)

    def rewind(self) -> None:
        """Read from the beginning; writes what Python has kept back."""
        with _told_apart():
            self._file.seek(0)

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        with _told_apart():
            return self._file.read(size)


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.error("upload.not_spooled", reason=errno.errorcode.get(error.errno or 0, type(error).__name__))
        raise InsufficientStorage from None
