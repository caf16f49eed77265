"""The commands and environment of docker-compose.yml work: `docker compose up`, then `run --rm seed`.

The tests run them as processes of this machine, with addresses in place of the services' names.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from app.commands.api import GRACE_SECONDS
from app.settings import Settings
from tests.support.clock import eventually
from tests.support.processes import Running, free_port, is_ready
from tests.support.sandbox import Json

# To close what is open after the last request or event; an engine kills without asking.
MARGIN_SECONDS = 5


@dataclass(frozen=True)
class Network:
    """Where the services listen here, and how they are called there."""

    sandbox: int
    api: int
    database_url: str

    def translate(self, text: str) -> str:
        """Names that only the services know stay apart from those that this machine knows."""
        names = {
            "http://sandbox:8800": f"http://127.0.0.1:{self.sandbox}",
            "http://localhost:8800": f"http://localhost:{self.sandbox}",
            "http://api:8000": f"http://127.0.0.1:{self.api}",
            "postgresql://portal:portal@postgres/portal": self.database_url,
        }
        for name, address in names.items():
            text = text.replace(name, address)
        return text

    def environment_of(self, service: Json) -> dict[str, str]:
        return {name: self.translate(value) for name, value in service["environment"].items()}


async def _python(arguments: Sequence[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )


@asynccontextmanager
async def _up(services: Json, network: Network) -> AsyncIterator[None]:
    """What `docker compose up` starts."""
    sandbox = await _python(
        ["-m", "sandbox", "--port", str(network.sandbox)], network.environment_of(services["sandbox"])
    )
    running: list[Running] = []
    try:
        assert sandbox.stdout is not None
        await sandbox.stdout.readline()
        for name in ("migrate", "api", "worker"):
            environment = network.environment_of(services[name]) | {"PORTAL_PORT": str(network.api)}
            # The image's own command is the API's.
            command = services[name].get("command", ["portal", "api"])
            portal = Running.start(command[1:], environment)
            if name == "migrate":
                assert await portal.wait() == 0
            else:
                running.append(portal)
        yield
    finally:
        for portal in running:
            await portal.end(signal.SIGKILL)
        sandbox.kill()
        await sandbox.wait()


@pytest.mark.proof
@pytest.mark.timeout(120)
async def test_a_seeded_buyer_opens_a_document_from_outside(
    services: Json, own_database_url: str, http: httpx.AsyncClient
) -> None:
    network = Network(free_port(), free_port(), own_database_url)
    async with _up(services, network):
        await eventually(lambda: is_ready(http, f"http://127.0.0.1:{network.api}"), within=30)
        seed = await _python([network.translate(word) for word in services["seed"]["command"][1:]], {})
        output, _ = await seed.communicate()
        assert seed.returncode == 0
        token = output.decode().rpartition('"token": "')[2].partition('"')[0]
        # On this machine, at the published ports.
        address = f"http://localhost:{network.api}/v1/documents"
        documents = (await http.get(address, headers={"Authorization": f"Bearer {token}"})).json()["data"]
        assert len(documents) == 7
        content = f"{address}/{documents[0]['id']}/content"
        opened = await http.get(content, headers={"Authorization": f"Bearer {token}"})
        link = httpx.URL(opened.headers["Location"])
        assert (link.host, link.port) == ("localhost", network.sandbox)
        assert (await http.get(link)).content.startswith(b"%PDF")
        # A sweep would have brought them too, later.
        deliveries = (await http.get(f"http://localhost:{network.sandbox}/_sandbox/deliveries")).json()
        assert len({one["eventId"] for one in deliveries if one["status"] == 202}) == len(documents)
        assert not [one for one in deliveries if one["status"] == 401]


def test_links_lead_to_a_published_port(services: Json) -> None:
    assert services["sandbox"]["environment"]["SANDBOX_LINK_URL"] == "http://localhost:8800"
    assert "127.0.0.1:8800:8800" in services["sandbox"]["ports"]


@pytest.mark.parametrize(
    ("service", "seconds"),
    [("api", GRACE_SECONDS), ("worker", Settings.model_fields["worker_grace"].default)],
)
def test_no_container_is_killed_before_its_grace_period_ends(
    services: Json, service: str, seconds: float
) -> None:
    given = services[service]["stop_grace_period"]
    assert given.endswith("s")
    assert float(given.removesuffix("s")) >= seconds + MARGIN_SECONDS


def test_every_service_restarts_with_the_engine(services: Json) -> None:
    once = {name for name, service in services.items() if service["restart"] == "no"}
    assert once == {"migrate", "seed"}
    assert {service["restart"] for name, service in services.items() if name not in once} == {
        "unless-stopped"
    }
