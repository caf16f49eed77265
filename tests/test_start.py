"""A process imports only what its command needs. What it imports, it imports at each start, and holds."""

import subprocess
import sys

import pytest

LIST_MODULES = "import sys; from app import cli; cli.assemble(sys.argv[1]); print(*sys.modules)"
# alembic and what it brings: 7 MB, and a tenth of the CPU time until the API is ready.
MIGRATION = {"alembic", "mako"}


@pytest.mark.parametrize(
    ("command", "needed", "unneeded"),
    [
        ("api", "app.main", {*MIGRATION, "devtools", "app.worker.loop", "app.ops.cli_views"}),
        pytest.param(
            *("worker", "app.worker.loop", {*MIGRATION, "devtools", "uvicorn", "app.main"}),
            marks=pytest.mark.proof,
        ),
        pytest.param("migrate", "alembic", {"devtools", "uvicorn", "app.main"}, marks=pytest.mark.proof),
    ],
)
def test_a_command_imports_no_module_of_others(command: str, needed: str, unneeded: set[str]) -> None:
    arguments = [sys.executable, "-c", LIST_MODULES, command]
    imported = set(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split())
    assert needed in imported
    assert not unneeded & imported
