"""After a short chaos run every event that was sent is stored, linked and opened by its owner only, and no
log holds private data."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.run import run

# Short, but so dense that for half of the time something is away: only `make chaos` measures speed.
SECONDS, LONGEST_PAUSE, MEDIAN_WITHIN = 5.0, 0.7, 30.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where PostgreSQL's account can reach its own part of it."""
    folder = Path(tempfile.mkdtemp(prefix="portal-chaos-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# Starting the processes, again and again, is most of it; on a busy machine that takes its time.
@pytest.mark.proof
@pytest.mark.timeout(240)
async def test_the_records_agree_after_a_chaos_run(folder: Path) -> None:
    # Seeded by pytest-randomly before each test, which prints its seed; `make chaos` is the long version.
    seed = random.randrange(1_000_000)
    comparison = await run(SECONDS, LONGEST_PAUSE, seed, folder, median_within=MEDIAN_WITHIN)
    assert not comparison.wrong, f"seed {seed}\n{comparison.table()}"
