"""The retry helper: the error decides whether to repeat, the caller decides for how long."""

import pytest

from app.digital_river.client.retries import retry
from app.digital_river.errors import DigitalRiverError, Missing, Unavailable


class Operation:
    """Fails with these errors, one after another, and then succeeds."""

    def __init__(self, *errors: DigitalRiverError) -> None:
        self.errors = list(errors)
        self.attempts = 0

    async def __call__(self) -> str:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def at_once(attempts: int, error: DigitalRiverError) -> float | None:
    return None if attempts == 3 or not isinstance(error, Unavailable) else 0


async def test_an_operation_is_repeated_until_it_succeeds() -> None:
    operation = Operation(Unavailable("one"), Unavailable("two"))
    assert await retry(operation, pause=at_once) == "done"
    assert operation.attempts == 3


async def test_the_error_of_the_last_attempt_is_raised() -> None:
    operation = Operation(Unavailable("one"), Unavailable("two"), Unavailable("three"))
    with pytest.raises(Unavailable, match="three"):
        await retry(operation, pause=at_once)
    assert operation.attempts == 3


async def test_another_error_ends_it_at_once() -> None:
    operation = Operation(Missing(), Unavailable("one"))
    with pytest.raises(Missing):
        await retry(operation, pause=at_once)
    assert operation.attempts == 1
