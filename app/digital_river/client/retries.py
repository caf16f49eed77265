"""Retries whole operations that are safe to repeat, for longer than the client retries one call."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.digital_river.errors import DigitalRiverError

_T = TypeVar("_T")


async def retry(
    operation: Callable[[], Awaitable[_T]], *, pause: Callable[[int, DigitalRiverError], float | None]
) -> _T:
    """The result of the first attempt that succeeds.

    After a failure, `pause` gets the number of attempts so far and the error. It returns how many seconds to
    wait before the next attempt, or None to raise the error.
    """
    attempts = 0
    while True:
        attempts += 1
        try:
            return await operation()
        except DigitalRiverError as error:
            seconds = pause(attempts, error)
            if seconds is None:
                raise
        await asyncio.sleep(seconds)
