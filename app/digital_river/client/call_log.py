"""One log line and one measurement per call that left, with nothing in it that could identify a buyer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.digital_river.client.metrics import CALL_SECONDS, CALLS
from app.digital_river.errors import DigitalRiverError, Garbled

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass
class Entry:
    """What becomes known of a call while it runs; all of it may be logged."""

    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def entry(method: str, route: str, attempt: int) -> Iterator[Entry]:
    """Around one call: logs and counts it however it ends. `route` is a template, never an address."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    made = Entry()
    result = "cancelled"
    try:
        yield made
        result = "ok"
    except DigitalRiverError as error:
        result = type(error).__name__
        if isinstance(error, Garbled):
            made.facts["why"] = str(error)
        raise
    except Exception as error:
        result = f"error:{type(error).__name__}"
        raise
    finally:
        seconds = loop.time() - began
        CALLS.labels(method, route, result.partition(":")[0]).inc()
        CALL_SECONDS.labels(method, route).observe(seconds)
        write = _log.info if result == "ok" else _log.warning
        write(
            "digital_river.call",
            method=method,
            route=route,
            attempt=attempt,
            result=result,
            ms=round(seconds * 1000, 1),
            **made.facts,
        )
