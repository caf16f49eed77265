"""A folder for the files of an embedded server."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every account can walk to, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="portal-embedded-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
