"""Keeps what our libraries load, and we never use, out of a process: a tenth of the CPU time until the API is
ready, and 7 MB."""

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The libraries do without them: structlog and httpx print with rich and pygments, FastAPI recognizes models
# of pydantic.v1 to refuse them, and uvicorn reloads changed files with watchfiles.
_OPTIONAL = ("pydantic.v1", "pygments", "rich", "watchfiles")


@contextmanager
def lean_imports() -> Iterator[None]:
    """For imports: optional packages count as not installed, unless they are imported already.

    Contexts for TLS that a library makes meanwhile trust nobody. aiohttp makes two, each with all authorities
    of the machine; our clients use the context of `app/tls.py`.
    """
    hidden = {name: None for name in _OPTIONAL if name not in sys.modules}
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None: the documented way to hide a module
    ssl.SSLContext.set_default_verify_paths = _load_nothing  # type: ignore[method-assign]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths
        for name in hidden:
            del sys.modules[name]


def _load_nothing(self: ssl.SSLContext) -> None:
    """In the place of a method that loads the machine's authorities."""
