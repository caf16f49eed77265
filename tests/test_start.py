"""A process imports only what its command needs. What it imports, it imports at each start, and holds."""

import subprocess
import sys

import pytest

LIST_MODULES = "import sys; from app import cli; cli.assemble(sys.argv[1]); print(*sys.modules)"
# alembic and what it brings: 7 MB, and a tenth of the CPU time until the API is ready.
MIGRATION = {"alembic", "mako"}
# What libraries import if it is installed: 5 MB, and a twentieth of that time.
OPTIONAL = {"pydantic.v1", "pygments", "rich", "watchfiles"}
# 13 MB, and a fifth of the CPU time of a worker's start.
SERVER = {"fastapi", "uvicorn"}


@pytest.mark.parametrize(
    ("command", "needed", "unneeded"),
    [
        ("api", "app.main", {*MIGRATION, *OPTIONAL, "devtools", "app.worker.loop", "app.ops.cli_views"}),
        pytest.param(
            *(
                "worker",
                "app.worker.loop",
                {*MIGRATION, *OPTIONAL, "devtools", "uvicorn", "fastapi", "app.main"},
            ),
            marks=pytest.mark.proof,
        ),
        pytest.param("migrate", "alembic", {*SERVER, "devtools", "app.main"}, marks=pytest.mark.proof),
    ],
)
def test_a_command_imports_no_module_of_others(command: str, needed: str, unneeded: set[str]) -> None:
    arguments = [sys.executable, "-c", LIST_MODULES, command]
    imported = set(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split())
    assert needed in imported
    assert not unneeded & imported


def test_contexts_for_tls_made_by_libraries_at_their_import_trust_nobody_and_others_do_as_before() -> None:
    script = (
        "from app import cli; cli.assemble('api'); import ssl; from aiohttp import connector;"
        "print(len(connector._SSL_CONTEXT_VERIFIED.get_ca_certs()), ssl.SSLContext.set_default_verify_paths)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    assert printed.startswith("0 <method 'set_default_verify_paths' of '_ssl._SSLContext' objects>"), printed
