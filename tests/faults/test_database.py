"""PostgreSQL goes away and comes back: 503 meanwhile, and recovery by itself."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db import migrate
from app.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tests.house import Sandbox, eventually, running_portal


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


async def test_a_stopped_database_is_503_and_a_started_one_is_found_again(
    server: EmbeddedPostgres, sandbox: Sandbox
) -> None:
    async with running_portal(server.url("portal"), sandbox.url) as portal:
        portal.trust(await sandbox.register_webhook(portal.url))
        token = await sandbox.token("ada")
        await sandbox.invoiced(await sandbox.order("ada"))
        (document,) = await portal.documents(token, 1)

        server.stop()
        for path in ("/v1/documents", f"/v1/documents/{document['id']}/content"):
            answer = await portal.get(path, token)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:portal:problem:unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        refused = await portal.deliver({"id": "e1", "type": "order.updated"})
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert (await portal.client.get("/health/ready")).status_code == 503
        assert (await portal.client.get("/health/live")).status_code == 200
        # An invoice is issued while nobody can store it; Digital River delivers again, and again.
        await sandbox.invoiced(await sandbox.order("ada"))

        server.start()

        async def is_ready() -> bool:
            return (await portal.client.get("/health/ready")).is_success

        await eventually(is_ready)
        await portal.documents(token, 2)
        assert (await portal.deliver({"id": "e1", "type": "order.updated"})).json()["status"] == "accepted"


def test_a_second_starter_is_told_and_hurts_nobody(server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(server.folder, durable=False)
    with pytest.raises(EmbeddedPostgresError, match="another process uses"):
        second.start()
    server.recreate("still_there")
