"""A client of a small app that trusts the tests' issuer."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.identity.issuer import Clock, Issuer
from tests.identity.small_app import client_of_small_app


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(Clock())


@pytest.fixture
async def http(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of_small_app(issuer) as client:
        yield client
