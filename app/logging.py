"""One way of logging: JSON lines of an event name and keys, and nothing in them that must stay private."""

import logging
import re
import sys
import traceback
from functools import lru_cache
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "[hidden]"
MOST_FRAMES = 40
MOST_ERRORS = 10

# A key is private when one of its words is; `token_id` or `secret_count` say nothing of what they name.
_PRIVATE_WORDS = frozenset(
    {
        "authorization",
        "cookie",
        "credentials",
        "password",
        "secret",
        "secrets",
        "signature",
        "token",
        "tokens",
    }
    | {"address", "body", "claims", "email", "href", "link", "payload", "phone", "query", "url"}
)
_HARMLESS_LAST_WORDS = frozenset({"id", "ids", "count", "kind", "type"})
# Links, mail addresses, JSON Web Tokens and Digital River's confidential keys and webhook secrets, wherever a
# text holds them.
_PRIVATE_TEXT = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S+|[^\s@]{1,64}@[^\s@]{1,255}|\beyJ[\w-]+\.[\w.-]+|\b(?:sk|whs)_\w+"
    r"|\b[Bb]earer\s+\S+"
)
MOST_CHARACTERS = 2000
_PLAIN = (str, int, float, bool, type(None))


def configure(*, with_messages: bool, stream: TextIO | None = None) -> None:
    """Write our own logs and those of libraries as JSON lines, to standard output unless told otherwise.

    `with_messages` adds the texts of exceptions, which may quote rows and bodies: for development only.
    uvicorn must be started with `log_config=None`, or it puts its own handlers back.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _Exceptions(with_messages=with_messages),
        redact,
    ]
    renderer = structlog.processors.JSONRenderer()
    target = stream or sys.stdout
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        _only_propagate(name, logging.INFO)
    # Its lines carry query strings and double ours.
    _only_propagate("uvicorn.access", logging.CRITICAL)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask private keys and private texts; of anything but plain values only the type remains."""
    for key, value in event.items():
        if key != "stack" and not key.startswith("_"):
            event[key] = MASK if _is_private_key(key) else _plain(value)
    return event


def is_private(text: str) -> bool:
    """Whether some of this text would be masked in a log."""
    return _masked(text) != text


class _Exceptions:
    """Turns `exc_info` into `error` (names of classes) and `stack` (places in the code)."""

    def __init__(self, *, with_messages: bool) -> None:
        self._with_messages = with_messages

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        given = event.pop("exc_info", None)
        error = given[1] if isinstance(given, tuple) else sys.exception() if given is True else given
        if not isinstance(error, BaseException):
            return event
        chain = _chain(error)
        event["error"] = [f"{type(one).__module__}.{type(one).__qualname__}" for one in chain]
        frames = [frame for one in chain for frame in traceback.extract_tb(one.__traceback__)]
        event["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-MOST_FRAMES:]]
        if self._with_messages:
            event["messages"] = [str(one) for one in chain]
        return event


def _chain(error: BaseException) -> list[BaseException]:
    """The error, then what it groups and what it came from."""
    chain: list[BaseException] = []
    waiting = [error]
    while waiting and len(chain) < MOST_ERRORS:
        one = waiting.pop(0)
        chain.append(one)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        earlier = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if earlier is not None:
            waiting.append(earlier)
    return chain


@lru_cache(maxsize=1024)
def _is_private_key(key: str) -> bool:
    words = key.lower().split("_")
    return words[-1] not in _HARMLESS_LAST_WORDS and not _PRIVATE_WORDS.isdisjoint(words)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return _masked(value[:MOST_CHARACTERS])
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): MASK if _is_private_key(str(key)) else _plain(one) for key, one in value.items()}
    return value if isinstance(value, _PLAIN) else f"<{type(value).__name__}>"


def _masked(text: str) -> str:
    # The expression is dear and this runs on every value of every line; these tests are not.
    may_be_private = "://" in text or "@" in text or "eyJ" in text
    if may_be_private or "sk_" in text or "whs_" in text or "earer" in text:
        return _PRIVATE_TEXT.sub(MASK, text)
    return text


def _only_propagate(name: str, level: int) -> None:
    logger = logging.getLogger(name)
    logger.handlers = []
    logger.propagate = True
    logger.setLevel(level)
