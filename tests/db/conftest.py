"""A database whose schema these tests may change."""

import pytest


@pytest.fixture
def own_database_url(new_database_url: str) -> str:
    """A database of this test's own, whatever it leaves there."""
    return new_database_url
