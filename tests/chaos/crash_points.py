"""Where a process can be made to crash: moments at which an event could be lost or handled twice."""

import functools
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.digital_river.api import files
from app.documents import link_store
from app.webhooks import ingest, sweep_log
from app.worker.loop import Worker


@dataclass(frozen=True)
class Point:
    """Just before a call of the product's, or as soon as it has returned."""

    when: Literal["before", "after"]
    owner: Any
    # The function itself, so that mypy notices when it gets another name.
    call: Callable[..., Awaitable[Any]]


OF_WORKERS: Mapping[str, Point] = {
    "before the call": Point("before", files, files.create_link),
    "after the link was made": Point("after", files, files.create_link),
    "before commit": Point("after", link_store, link_store.upsert_links),
    "after commit": Point("after", Worker, Worker._run_handler),
    "before the watermark": Point("before", sweep_log, sweep_log.finish_sweep),
}
OF_APIS: Mapping[str, Point] = {
    "before keeping": Point("before", ingest, ingest.insert_events),
    "kept, not acknowledged": Point("after", ingest, ingest.insert_events),
}


def arm(name: str, passes: int) -> None:
    """Die at this point, after having passed it `passes` times: at once, as after SIGKILL. To be called in
    the process that is to die."""
    point = ({**OF_WORKERS, **OF_APIS})[name]
    call = point.call
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

    setattr(point.owner, call.__name__, deadly)
