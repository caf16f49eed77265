"""Fixtures for all tests: a real PostgreSQL migrated by alembic, a sandbox on a socket, no other network."""

import asyncio
import gc
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import hypothesis
import pytest
import sqlalchemy as sa
import structlog

from app.digital_river.client import request
from app.digital_river.client.http_client import DigitalRiverClient
from app.tax import identifiers
from devtools.embedded_postgres import EmbeddedPostgres
from tests.support.database import (
    CUT_OTHER_CONNECTIONS,
    EMPTY,
    announced_address,
    copy_of_template,
    make_logins_cheap,
    make_template,
    run_script,
)
from tests.support.declared_answers import UNDECLARED
from tests.support.events import SECRET
from tests.support.portal import Portal, running_portal
from tests.support.sandbox import Sandbox, running_sandbox
from tests.support.tls import Authority

# Names a server that has the template already: mutmut runs the tests hundreds of times, several at once.
READY_SERVER = "PORTAL_TEST_READY_SERVER"
SERVER_URL = pytest.StashKey[str]()
FOLDER = pytest.StashKey[Path]()
HAS_WORKERS = pytest.StashKey[bool]()


# Tests run slowly on a busy machine, so a slow example is no failure.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")
# For `make test`; `make check` draws all examples.
hypothesis.settings.register_profile("few", max_examples=20)
# For a terminal structlog draws a trace with every local of every frame, which takes seconds.
_RENDERER = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _RENDERER])


def _server_url(config: pytest.Config) -> str:
    """One server for all workers, started when it is first needed, with a migrated database to copy."""
    if SERVER_URL not in config.stash:
        workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
        if workerinput:
            config.stash[SERVER_URL] = announced_address(Path(workerinput["server_url"]))
        else:
            config.stash[SERVER_URL] = os.environ.get(READY_SERVER) or _start_server(config)
    return config.stash[SERVER_URL]


def _start_server(config: pytest.Config) -> str:
    url = os.environ.get("PORTAL_DATABASE_URL")
    if url is None:
        folder = tempfile.TemporaryDirectory(
            prefix="portal-test-", dir="/var/tmp", ignore_cleanup_errors=True
        )
        Path(folder.name).chmod(0o755)
        config.add_cleanup(folder.cleanup)
        server = EmbeddedPostgres(Path(folder.name) / "postgres", durable=False)
        server.start()
        config.add_cleanup(server.stop)
        url = server.url("postgres")
        asyncio.run(make_logins_cheap(url))
    make_template(url)
    return url


def pytest_configure(config: pytest.Config) -> None:
    """Let every HTTP client trust one authority only: reading all that the machine trusts costs each of the
    thousands of clients 40 ms, and no test calls over HTTPS."""
    # Until the end of collection: what it makes stays.
    gc.disable()
    folder = tempfile.TemporaryDirectory(prefix="portal-session-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    config.stash[FOLDER] = Path(folder.name)
    os.environ["SSL_CERT_FILE"] = str(Authority(Path(folder.name), "trusted").certificate)


def pytest_collection_finish() -> None:
    """Let the garbage collector not look again and again at the modules and the tests, which all stay."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests with a time-out of their own first, in their random order, because they may take long."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where the address of the server is going to be."""
    node.workerinput["server_url"] = str(node.config.stash[FOLDER] / "server_url")
    node.config.stash[HAS_WORKERS] = True


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    """Start the server when the workers have begun to collect their tests."""
    yield
    if session.config.stash.get(HAS_WORKERS, False):
        draft = session.config.stash[FOLDER] / "draft"
        draft.write_text(_server_url(session.config))
        draft.rename(draft.with_name("server_url"))


@pytest.fixture(scope="session")
def server_url(pytestconfig: pytest.Config) -> str:
    """The address of the PostgreSQL server, for tests that make databases of their own."""
    return _server_url(pytestconfig)


@pytest.fixture(scope="session")
async def database_url(server_url: str) -> AsyncIterator[str]:
    """This worker's own migrated database."""
    async with copy_of_template(server_url) as url:
        yield url


@pytest.fixture(scope="session")
async def _connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection for all tests of a worker: each new one costs the server a process."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(_connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A connection to look with; after the test all tables are emptied."""
    yield _connection
    await _connection.reset()
    # Many times faster than TRUNCATE, since tests leave few rows.
    await _connection.execute(EMPTY)


@pytest.fixture(scope="session")
async def _database_without_portal(server_url: str) -> AsyncIterator[str]:
    async with copy_of_template(server_url) as url:
        yield url


@pytest.fixture
async def own_database_url(_database_without_portal: str) -> AsyncIterator[str]:
    """A database that only this test uses, for tests that bring their own workers: the shared portal's worker
    would take their events. After the test every connection is cut and all tables are emptied."""
    yield _database_without_portal
    await run_script(_database_without_portal, f"{CUT_OTHER_CONNECTIONS}; {EMPTY}")


@pytest.fixture
async def new_database_url(server_url: str) -> AsyncIterator[str]:
    """A new database, for tests that change its schema or its settings. Making one takes 0.1 s."""
    async with copy_of_template(server_url) as url:
        yield url


@pytest.fixture
async def own_database(own_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to `own_database_url` to look with."""
    connection = await asyncpg.connect(own_database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def sandbox_process() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def sandbox(sandbox_process: Sandbox) -> AsyncIterator[Sandbox]:
    """A sandbox without data of the tests before."""
    yield sandbox_process
    await sandbox_process.reset()


@pytest.fixture(scope="session")
async def portal_process(database_url: str, sandbox_process: Sandbox) -> AsyncIterator[Portal]:
    async with running_portal(database_url, sandbox_process.url) as portal:
        yield portal


@pytest.fixture
def soon_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls to Digital River are repeated a tenth as late as in production."""
    monkeypatch.setattr(request, "FIRST_DELAY", request.FIRST_DELAY / 10)
    monkeypatch.setattr(identifiers, "RETRY_PAUSES", tuple(pause / 10 for pause in identifiers.RETRY_PAUSES))


@pytest.fixture
async def portal(
    soon_repeated: None, database: asyncpg.Connection, sandbox: Sandbox, portal_process: Portal
) -> AsyncIterator[Portal]:
    """API and worker on a socket, shared by all tests of a process, with an empty database each time."""
    portal_process.trust([])
    if portal_process.remembers_failures():
        await portal_process.close_breaker()
        await sandbox.client.delete("/_sandbox/requests")
    await sandbox.deliver_to(portal_process.url, SECRET)
    yield portal_process
    # Before the tables are emptied, so that nothing is written into the next test.
    await portal_process.settle(database)


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            pytest.fail(f"a test reached for the network: {address[0]}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(autouse=True)
def _nothing_undeclared() -> Iterator[None]:
    """Fail a test if a portal gave an answer that its OpenAPI document does not declare."""
    yield
    found = sorted(set(UNDECLARED))
    UNDECLARED.clear()
    assert not found, found


Holders = dict[int, asyncio.Task[Any] | None]


@pytest.fixture(scope="session")
def holders_of_connections() -> Iterator[Holders]:
    """Which task holds each connection. A task that holds one and calls Digital River fails its test."""
    holders: Holders = {}

    def taken(connection: object, *_: object) -> None:
        holders[id(connection)] = asyncio.current_task()

    def returned(connection: object, *_: object) -> None:
        holders.pop(id(connection), None)

    call = DigitalRiverClient._send_with_retries

    async def guarded(self: DigitalRiverClient, *args: Any) -> Any:
        assert asyncio.current_task() not in holders.values(), (
            "a call to Digital River while holding a connection"
        )
        return await call(self, *args)

    listeners = (("checkout", taken), ("checkin", returned))
    for name, listener in listeners:
        sa.event.listen(sa.pool.Pool, name, listener)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DigitalRiverClient, "_send_with_retries", guarded)
        yield holders
    for name, listener in listeners:
        sa.event.remove(sa.pool.Pool, name, listener)


@pytest.fixture(autouse=True)
def _no_call_while_holding_a_connection(holders_of_connections: Holders) -> None:
    """A task that waits for the network inside a transaction holds its locks for as long as that takes.
    What a connection that broke has left behind concerns its own test only."""
    holders_of_connections.clear()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client for any address on this machine."""
    async with httpx.AsyncClient(timeout=10) as client:
        yield client
