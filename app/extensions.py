"""Loads what installed packages add to `portal` through entry points.

`portal.commands`: each entry point names a function, which becomes a command under the entry point's name.
    Its parameters and docstring are read like those of the product's own commands.

`portal.development_database`: a function that takes the data directory (PORTAL_DATA_DIR) and returns a
    context manager, which yields the address of a PostgreSQL database that runs until the block ends.
    `portal` uses it in development if PORTAL_DATABASE_URL is not set. If several packages offer one, it
    takes the first.

Both report an expected failure by SystemExit with a message. `devtools/` is such a package, and
production has none.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from pathlib import Path

COMMANDS = "portal.commands"
DEVELOPMENT_DATABASE = "portal.development_database"


def load_commands() -> Mapping[str, Callable[..., None]]:
    """The commands of installed packages, by name."""
    return {point.name: point.load() for point in entry_points(group=COMMANDS)}


def load_development_database() -> Callable[[Path], AbstractContextManager[str]]:
    """The development database of an installed package.

    Raises:
        LookupError: no installed package offers one.
    """
    for point in entry_points(group=DEVELOPMENT_DATABASE):
        offered: Callable[[Path], AbstractContextManager[str]] = point.load()
        return offered
    raise LookupError(
        "PORTAL_DATABASE_URL is missing, and no installed package brings a development database"
    )
