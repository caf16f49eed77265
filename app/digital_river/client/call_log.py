"""Writes one log line and one measurement for each call that left, without data that identifies a buyer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.digital_river.client.metrics import CALL_SECONDS, CALLS
from app.digital_river.errors import DigitalRiverError, Garbled
from app.logging import log_info

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass
class CallLogEntry:
    """Fields for the log line, collected while the call runs. They contain no personal data."""

    fields: dict[str, Any] = field(default_factory=dict)


@contextmanager
def log_call(method: str, route: str, attempt: int) -> Iterator[CallLogEntry]:
    """Around one call: logs and counts it, also if it fails. `route` is a path template, never a URL."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    entry = CallLogEntry()
    result = "cancelled"
    try:
        yield entry
        result = "ok"
    except DigitalRiverError as error:
        result = type(error).__name__
        if isinstance(error, Garbled):
            entry.fields["why"] = str(error)
        raise
    except Exception as error:
        result = f"error:{type(error).__name__}"
        raise
    finally:
        seconds = loop.time() - began
        CALLS.labels(method, route, result.partition(":")[0]).inc()
        CALL_SECONDS.labels(method, route).observe(seconds)
        write = log_info if result == "ok" else _log.warning
        write(
            "digital_river.call",
            method=method,
            route=route,
            attempt=attempt,
            result=result,
            ms=round(seconds * 1000, 1),
            **entry.fields,
        )
