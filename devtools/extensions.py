"""Adds the development tools to `portal`, through the extension points of `app/extensions.py`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.dev import DevelopmentError, run
from devtools.embedded_files import EmbeddedPostgresError
from devtools.embedded_postgres import embedded_postgres


def dev() -> None:
    """Run the whole product on this machine: PostgreSQL, the sandbox, API and worker, with a seeded buyer."""
    try:
        run()
    except (DevelopmentError, EmbeddedPostgresError) as error:
        raise SystemExit(str(error)) from None


@contextmanager
def development_database(data_dir: Path) -> Iterator[str]:
    """An embedded server with its data in `data_dir`; yields the URL of its database."""
    try:
        with embedded_postgres(data_dir / "postgres") as server:
            yield server.url("postgres")
    except EmbeddedPostgresError as error:
        raise SystemExit(str(error)) from None
