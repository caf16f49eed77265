"""Where a process can be made to crash: moments at which an event could be lost or handled twice."""

import functools
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.digital_river.api import files
from app.webhooks import inbox, ingest, sweep_log
from app.worker.loop import Worker


@dataclass(frozen=True)
class Point:
    """Just before a call of the product's, or as soon as it has returned."""

    when: Literal["before", "after"]
    owner: Any
    call: str


OF_WORKERS: Mapping[str, Point] = {
    "before the call": Point("before", files, "create_link"),
    "after the link was made": Point("after", files, "create_link"),
    # It is the last statement of its transaction.
    "before commit": Point("after", inbox, "finish"),
    "after commit": Point("after", Worker, "_do"),
    "before the watermark": Point("before", sweep_log, "finish"),
}
OF_APIS: Mapping[str, Point] = {
    "before keeping": Point("before", ingest, "put"),
    "kept, not acknowledged": Point("after", ingest, "put"),
}


def arm(name: str, passes: int) -> None:
    """Die at this point, after having passed it `passes` times: at once, as after SIGKILL. To be called in
    the process that is to die."""
    point = ({**OF_WORKERS, **OF_APIS})[name]
    call: Callable[..., Awaitable[Any]] = getattr(point.owner, point.call)
    left = passes

    def pass_or_die() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    @functools.wraps(call)
    async def deadly(*args: Any, **kwargs: Any) -> Any:
        if point.when == "before":
            pass_or_die()
        done = await call(*args, **kwargs)
        if point.when == "after":
            pass_or_die()
        return done

    setattr(point.owner, point.call, deadly)
