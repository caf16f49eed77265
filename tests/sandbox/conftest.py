"""One sandbox process for these tests. Each of its answers is compared with the official document."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.sandbox.official import OfficialDocument
from tests.sandbox.receiver import Receiver
from tests.support.api_client import ApiClient
from tests.support.http import http_client
from tests.support.sandbox import running_sandbox

# Seconds before the first repeat of a delivery; before each further one the pause is twice as long.
RETRY_DELAY = 0.05


@pytest.fixture(scope="session")
def official() -> OfficialDocument:
    return OfficialDocument()


@pytest.fixture(scope="session")
async def sandbox_url() -> AsyncIterator[str]:
    async with running_sandbox(
        SANDBOX_RETRY_DELAY=str(RETRY_DELAY), SANDBOX_DELIVERY_TIMEOUT="0.5"
    ) as running:
        yield running.url


@pytest.fixture(scope="session")
async def _client_without_key(sandbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(sandbox_url) as client:
        yield client


@pytest.fixture(scope="session")
async def _api(sandbox_url: str, official: OfficialDocument) -> AsyncIterator[ApiClient]:
    async def judge(response: httpx.Response) -> None:
        await response.aread()
        assert official.complaints(response) == []

    headers = {"Authorization": "Bearer sk_test_sandbox"}
    hooks = {"response": [judge]}
    async with http_client(sandbox_url, headers=headers, event_hooks=hooks) as client:
        yield ApiClient(client)


@pytest.fixture
async def raw(_client_without_key: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client without a key, whose answers are not checked, of an empty sandbox."""
    (await _client_without_key.post("/_sandbox/reset")).raise_for_status()
    return _client_without_key


@pytest.fixture
async def api(_api: ApiClient, raw: httpx.AsyncClient) -> ApiClient:
    """A merchant's client; any answer that the official document would not give fails the test."""
    return _api


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
