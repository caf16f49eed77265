"""A process that cannot use its database says why in one line, without a stack trace or a secret."""

import json
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import URL, make_url

from tests.support.clock import eventually
from tests.support.events import invoice_event, signed
from tests.support.portal import as_environment, settings_for
from tests.support.processes import Running, free_port, portal_command
from tests.support.proofs import proofs_except
from tests.support.tls import Authority, address, running_tls_server

SECRET = "a-password-nobody-may-read"
COMMANDS = [("migrate",), ("sweep",), ("events", "list"), ("dev",)]


def changed(change: Callable[[URL], URL]) -> Callable[[str], str]:
    return lambda url: change(make_url(url)).render_as_string(hide_password=False)


FAULTS = {
    "a wrong password": (changed(lambda url: url.set(password=SECRET)), "does not let us in: password auth"),
    "a missing database": (changed(lambda url: url.set(database="nowhere")), 'database "nowhere" does not'),
    "nobody there": (changed(lambda url: url.set(port=free_port(), password=SECRET)), "cannot be reached"),
    "no TLS": (lambda url: address(url, sslmode="require"), "rejected SSL upgrade"),
}


def require_one_line(output: str, why: str, url: str) -> None:
    (line,) = output.splitlines()
    assert line.startswith("PostgreSQL at 127.0.0.1:")
    assert why in line
    assert SECRET not in line
    assert str(make_url(url).password) not in line


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("fault", proofs_except(["a wrong password"], sorted(FAULTS)))
async def test_a_command_says_in_a_line_why_it_cannot_use_its_database(
    fault: str, command: tuple[str, ...], database_url: str, tmp_path: Path
) -> None:
    break_it, why = FAULTS[fault]
    settings = settings_for(break_it(database_url), "http://127.0.0.1:1")
    printed = await portal_command(settings, *command, PORTAL_DATA_DIR=str(tmp_path))
    assert (printed.status, printed.output) == (1, "")
    require_one_line(printed.errors, why, database_url)


async def test_a_server_that_cannot_prove_who_it_is_is_named_so(database_url: str, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    async with running_tls_server(database_url, theirs.issue("server")) as port:
        url = address(database_url, port, sslmode="verify-full", sslrootcert=ours.certificate)
        printed = await portal_command(settings_for(url, "http://127.0.0.1:1"), "migrate")
    assert printed.status == 1
    require_one_line(printed.errors, "cannot prove who it is (sslmode=verify-full): ", database_url)


async def test_a_database_of_another_version_is_named_so(
    own_database_url: str, own_database: asyncpg.Connection
) -> None:
    settings = settings_for(own_database_url, "http://127.0.0.1:1")
    await own_database.execute("UPDATE alembic_version SET version_num = '9999'")
    newer = await portal_command(settings, "migrate")
    assert (newer.status, newer.errors) == (
        1,
        "The database cannot be migrated: Can't locate revision identified by '9999'\n",
    )
    await own_database.execute("DROP TABLE webhook_event, alembic_version")
    older = await portal_command(settings, "events", "list")
    assert older.status == 1
    require_one_line(older.errors, "is not migrated: run `portal migrate`", own_database_url)


async def test_a_migration_that_postgresql_refuses_says_why(
    own_database_url: str, own_database: asyncpg.Connection
) -> None:
    await own_database.execute("UPDATE alembic_version SET version_num = '0004'; DROP TABLE rate_bucket")
    await own_database.execute("CREATE TABLE rate_bucket (digest bytea)")
    printed = await portal_command(settings_for(own_database_url, "http://127.0.0.1:1"), "migrate")
    assert printed.status == 1
    require_one_line(printed.errors, 'relation "rate_bucket" already exists', own_database_url)


@pytest.mark.parametrize("fault", proofs_except(["a wrong password"], sorted(FAULTS)))
async def test_api_and_worker_run_on_and_say_why_without_a_trace(
    fault: str, database_url: str, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    break_it, _ = FAULTS[fault]
    port = free_port()
    environment = {
        **as_environment(settings_for(break_it(database_url), "http://127.0.0.1:1")),
        "PORTAL_PORT": str(port),
    }
    url = f"http://127.0.0.1:{port}"
    logs = tmp_path / "log"
    async with AsyncExitStack() as stack:
        for command in ("api", "worker"):
            process = Running.start([command], environment, output=logs, errors=logs)
            stack.push_async_callback(process.end, signal.SIGKILL)

        async def is_up() -> bool:
            try:
                return (await http.get(f"{url}/health/live")).is_success
            except httpx.TransportError:
                return False

        await eventually(is_up)
        assert (await http.get(f"{url}/health/ready")).status_code == 503
        body = json.dumps(invoice_event()).encode()
        refused = await http.post(f"{url}/webhooks/digital-river", content=body, headers=signed(body))
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)

        async def has_worker_said_so() -> bool:
            output = logs.read_text()
            return all(event in output for event in ("worker.database_unavailable", "notifications.lost"))

        await eventually(has_worker_said_so)
    output = logs.read_text()
    assert "database_unavailable" in output
    assert "Traceback" not in output
    assert "exception" not in output
    assert SECRET not in output
