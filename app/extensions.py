"""What an installed package can add to `portal`, through entry points of its distribution.

`portal.commands`: each entry point names a function that becomes the command of the entry point's name.
    Its parameters and its docstring are read as those of the product's own commands are.

`portal.development_database`: a function that takes the data directory (PORTAL_DATA_DIR) and returns a context
    manager. The context manager yields the address of a PostgreSQL database that runs until the block ends. It
    is used in development if PORTAL_DATABASE_URL is not set; if several packages offer one, the first is taken.

Both report an expected failure by SystemExit with a message. Production installs no such package. `devtools/` is one.
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
    raise LookupError("PORTAL_DATABASE_URL is missing, and no development database is installed")
