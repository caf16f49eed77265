"""What these tests break."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db import migrate
from app.db.embedded import EmbeddedPostgres


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A server of this test's own, which it may stop."""
    folder = Path(tempfile.mkdtemp(prefix="portal-fault-", dir="/var/tmp"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.start()
    server.recreate("portal")
    migrate.upgrade(server.url("portal"))
    yield server
    server.stop()
    shutil.rmtree(folder)
