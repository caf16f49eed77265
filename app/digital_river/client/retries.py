"""Repeats whole operations that are safe to repeat, for longer than one call repeats itself (`transport`)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.digital_river.errors import DigitalRiverError

_T = TypeVar("_T")


async def retry(
    operation: Callable[[], Awaitable[_T]], *, pause: Callable[[int, DigitalRiverError], float | None]
) -> _T:
    """The operation's result, however many attempts that takes.

    When one has failed, `pause` says how many seconds to wait, from the number of attempts so far and the
    error; None means that there is no other attempt, and the error is raised.
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
