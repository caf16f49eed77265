"""The TLS settings of a database URL hold for both pools, the listener, migrations and commands."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from app.db import migrate
from app.db.engine import open_engine, open_hot_pool
from app.db.errors import DATABASE_ERRORS
from app.db.notifications import listen
from tests.support.clock import eventually
from tests.support.portal import settings_for
from tests.support.processes import portal_command
from tests.support.tls import Authority, address, running_tls_server


async def connect_by_engine(url: str) -> None:
    async with (
        open_engine(settings_for(url, "http://nowhere.test")) as engine,
        engine.connect() as connection,
    ):
        await connection.execute(sa.text("SELECT 1"))


async def connect_by_hot_pool(url: str) -> None:
    async with open_hot_pool(settings_for(url, "http://nowhere.test")) as pool:
        await pool.fetchval("SELECT 1")


async def connect_by_listener(url: str) -> None:
    with capture_logs() as logs:
        async with listen(url, "tls") as notified:

            async def is_listening_or_failed() -> bool:
                return notified.is_set() or bool(logs)

            await eventually(is_listening_or_failed)
    if logs:
        raise ConnectionError(logs[0]["error"])


async def connect_by_migration(url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, url)


async def connect_by_command(url: str) -> None:
    printed = await portal_command(settings_for(url, "http://nowhere.test"), "events", "list")
    if printed.status:
        raise ConnectionError(printed.errors)


CONNECTORS = [
    connect_by_engine,
    connect_by_hot_pool,
    connect_by_listener,
    connect_by_migration,
    connect_by_command,
]
NOT_PROVEN = r"certificate verify failed|SSLCertVerificationError|prove who it is"
Connect = Callable[[str], Awaitable[None]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
async def server(database_url: str, authority: Authority) -> AsyncIterator[Callable[..., str]]:
    """A server with a certificate for 127.0.0.1: its URL with these parameters."""
    async with running_tls_server(database_url, authority.issue("server")) as port:
        yield partial(address, database_url, port)


@pytest.fixture
async def misnamed_server(database_url: str, authority: Authority) -> AsyncIterator[Callable[..., str]]:
    """A server with a good certificate for another address."""
    certificate = authority.issue("other", address="127.0.0.9")
    async with running_tls_server(database_url, certificate) as port:
        yield partial(address, database_url, port)


@pytest.mark.proof
@pytest.mark.parametrize("enter", CONNECTORS)
async def test_a_plain_server_is_refused_when_tls_is_demanded(enter: Connect, database_url: str) -> None:
    with pytest.raises(OSError, match=r"rejected SSL upgrade|ConnectionError"):
        await enter(address(database_url, sslmode="require"))
    await enter(address(database_url, sslmode="disable"))


@pytest.mark.parametrize("enter", CONNECTORS)
async def test_a_server_that_proves_its_identity_is_accepted(
    enter: Connect, server: Callable[..., str], authority: Authority
) -> None:
    await enter(server(sslmode="verify-full", sslrootcert=authority.certificate))


@pytest.mark.parametrize("enter", CONNECTORS)
async def test_a_server_with_a_certificate_of_another_authority_is_refused(
    enter: Connect, server: Callable[..., str], other_authority: Authority
) -> None:
    for mode in ("verify-full", "verify-ca"):
        with pytest.raises(OSError, match=NOT_PROVEN):
            await enter(server(sslmode=mode, sslrootcert=other_authority.certificate))


@pytest.mark.proof
@pytest.mark.parametrize("enter", CONNECTORS)
async def test_only_verify_full_checks_the_name(
    enter: Connect, misnamed_server: Callable[..., str], authority: Authority
) -> None:
    with pytest.raises(OSError, match=NOT_PROVEN):
        await enter(misnamed_server(sslmode="verify-full", sslrootcert=authority.certificate))
    await enter(misnamed_server(sslmode="verify-ca", sslrootcert=authority.certificate))


async def test_require_accepts_any_certificate_unless_a_root_is_set(
    server: Callable[..., str], authority: Authority, other_authority: Authority
) -> None:
    await connect_by_engine(server(sslmode="require"))
    await connect_by_engine(server(sslmode="require", sslrootcert=authority.certificate))
    with pytest.raises(OSError, match="certificate verify failed"):
        await connect_by_engine(server(sslmode="require", sslrootcert=other_authority.certificate))


async def test_a_server_without_a_public_certificate_is_refused_by_the_system_trust(
    server: Callable[..., str],
) -> None:
    with pytest.raises(OSError, match="certificate verify failed"):
        await connect_by_engine(server(sslrootcert="system"))


async def test_preferred_tls_is_used_if_the_server_offers_it(
    server: Callable[..., str], database_url: str
) -> None:
    await connect_by_engine(server(sslmode="prefer"))
    await connect_by_hot_pool(server())
    for mode in ("prefer", "allow"):
        await connect_by_engine(address(database_url, sslmode=mode))


@pytest.mark.proof
@pytest.mark.parametrize("enter", CONNECTORS)
async def test_the_client_sends_its_certificate(
    enter: Connect, database_url: str, authority: Authority
) -> None:
    certificate, key = authority.issue("client", password=b"secret")
    ours = {"sslcert": certificate, "sslkey": key, "sslpassword": "secret"}
    demands = {"sslmode": "verify-full", "sslrootcert": authority.certificate}
    needs = running_tls_server(database_url, authority.issue("needy"), clients=authority.certificate)
    async with needs as port:
        await enter(address(database_url, port, **demands, **ours))
        with pytest.raises(DATABASE_ERRORS):
            await enter(address(database_url, port, **demands))


async def test_a_missing_certificate_file_is_an_outage_that_names_it(
    server: Callable[..., str], authority: Authority, tmp_path: Path
) -> None:
    copy = tmp_path / "root.crt"
    copy.write_bytes(authority.certificate.read_bytes())
    async with open_hot_pool(
        settings_for(server(sslmode="verify-ca", sslrootcert=copy), "http://nowhere.test")
    ) as pool:
        copy.unlink()
        with pytest.raises(ConnectionError, match=f"sslrootcert that cannot be read: {copy}"):
            await pool.fetchval("SELECT 1")
