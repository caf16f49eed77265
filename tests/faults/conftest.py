"""A PostgreSQL server that a test may stop."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db import migrate
from devtools.embedded_postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server of these tests' own, which each may stop and starts again."""
    folder = Path(tempfile.mkdtemp(prefix="portal-fault-", dir="/var/tmp"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.start()
    server.recreate("portal")
    migrate.upgrade(server.url("portal"))
    yield server
    server.stop()
    shutil.rmtree(folder)
