"""Reads a 2xx: to an end that is near, into the model that was promised, of the thing that was asked for."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from app.digital_river.errors import Garbled, Missing
from app.digital_river.models.reading import Listing, read
from app.digital_river.models.repairs import Misfit
from app.digital_river.models.tolerant_json import read_leniently

MOST_MISFITS = 5

ModelT = TypeVar("ModelT", bound=BaseModel)

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def read_whole(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """All of it.

    Raises:
        Garbled: it is longer than `most` bytes.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise Garbled("the answer is too large")
    return bytes(body)


def parse(
    body: bytes,
    model: type[ModelT],
    route: str,
    expected: Mapping[str, str],
    required: Mapping[str, str],
) -> ModelT:
    """The model in a JSON body, without what cannot be read of it, which is logged. `route` is a template.

    What it has under the names in `expected` must be just that, unless it has nothing there: the question has
    said it. Entries of a list must say it, and are left out otherwise. So a far side that mixes two answers
    up, or forgets a filter, does not show one buyer another one's things, or nobody's. What does not have
    the fields in `required`, named as in JSON, with just these values does not exist, whatever else is wrong.

    Raises:
        Missing: it does not have what is required.
        Garbled: it is not there, or of something else; the text says where it does not fit, and no value.
    """
    try:
        tree = read_leniently(body)
    except ValueError:
        raise Garbled(f"the answer is no {model.__name__}: it is no JSON") from None
    if not all(_says(tree, *one) for one in required.items()):
        raise Missing
    found = _understood(tree, model, route)
    if isinstance(found, Listing):
        own = tuple(entry for entry in found.data if all(_has(entry, *one) for one in expected.items()))
        if len(own) < len(found.data):
            _log.error("digital_river.filter_ignored", route=route, times=len(found.data) - len(own))
        return found.model_copy(update={"data": own})
    for name, value in expected.items():
        if not (_has(found, name, value) or _has(found, name, None)):
            raise Garbled(f"the answer is of another {name}")
    return found


def _understood(tree: Any, model: type[ModelT], route: str) -> ModelT:
    try:
        found, misfits = read(model, tree)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:MOST_MISFITS]
        places = (f"{'.'.join(map(str, problem['loc']))} {problem['type']}" for problem in problems)
        raise Garbled(f"the answer is no {model.__name__}: {', '.join(places)}") from None
    _log_misfits(route, misfits)
    return found


def _says(tree: Any, name: str, value: str) -> bool:
    said = tree.get(name) if isinstance(tree, Mapping) else None
    # Not `str(said)` of anything: null would say that it belongs to a customer whose id is `None`.
    return type(said) in {str, int} and str(said) == value


def _has(thing: object, name: str, value: str | None) -> bool:
    return getattr(thing, name, None) == value


def _log_misfits(route: str, misfits: Sequence[Misfit]) -> None:
    times = Counter((one.field, one.error) for one in misfits)
    for (field, error), count in times.most_common(MOST_MISFITS):
        entry = next((one.entry for one in misfits if (one.field, one.error) == (field, error)), None)
        _log.warning(
            "digital_river.unreadable", route=route, field=field, error=error, entry=entry, times=count
        )
