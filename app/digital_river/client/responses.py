"""Reads the body of a 2xx: limits its size, validates it, and checks which resource it is about."""

from collections import Counter
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from app.digital_river.errors import Garbled, Missing
from app.digital_river.models.tolerant_json import read_leniently
from app.digital_river.models.tolerant_model import Listing, read
from app.digital_river.models.tolerant_validation import Omission

MAX_LOGGED_OMISSIONS = 5

ModelT = TypeVar("ModelT", bound=BaseModel)

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def read_body(chunks: AsyncIterable[bytes], max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        Garbled: it is longer than `max_bytes`.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise Garbled("the answer is too large")
    return bytes(body)


def parse_response(
    body: bytes,
    model: type[ModelT],
    route: str,
    expected: Mapping[str, str],
    required: Mapping[str, str],
) -> ModelT:
    """The model in a JSON body. Unreadable parts are left out and logged. `route` is a path template.

    `expected` maps attributes of the model to values: a single resource must have these values or None there,
    and an entry of a list without exactly these values is left out. So if Digital River mixes up responses or
    ignores a filter, a buyer does not see data of another customer.

    `required` maps names in JSON to values: a resource without exactly these values counts as missing,
    even if it is invalid otherwise.

    Raises:
        Missing: a required value is absent or different.
        Garbled: the body does not fit the model, or is about another resource. The text contains no value.
    """
    try:
        tree = read_leniently(body)
    except ValueError:
        raise Garbled(f"the answer is no {model.__name__}: it is no JSON") from None
    if not all(_has_json_value(tree, name, value) for name, value in required.items()):
        raise Missing
    result = _read_model(tree, model, route)
    if isinstance(result, Listing):
        own = tuple(
            entry for entry in result.data if all(_has_attribute(entry, *item) for item in expected.items())
        )
        if len(own) < len(result.data):
            _log.error("digital_river.filter_ignored", route=route, times=len(result.data) - len(own))
        return result.model_copy(update={"data": own})
    for name, value in expected.items():
        if not (_has_attribute(result, name, value) or _has_attribute(result, name, None)):
            raise Garbled(f"the answer is of another {name}")
    return result


def _read_model(tree: Any, model: type[ModelT], route: str) -> ModelT:
    try:
        result, omissions = read(model, tree)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)[
            :MAX_LOGGED_OMISSIONS
        ]
        descriptions = (f"{'.'.join(map(str, detail['loc']))} {detail['type']}" for detail in details)
        raise Garbled(f"the answer is no {model.__name__}: {', '.join(descriptions)}") from None
    _log_omissions(route, omissions)
    return result


def _has_json_value(tree: Any, name: str, value: str) -> bool:
    sent = tree.get(name) if isinstance(tree, Mapping) else None
    # Other types are not converted: null would match a customer whose id is `None`.
    return type(sent) in {str, int} and str(sent) == value


def _has_attribute(resource: object, name: str, value: str | None) -> bool:
    return getattr(resource, name, None) == value


def _log_omissions(route: str, omissions: Sequence[Omission]) -> None:
    times = Counter((omission.field, omission.error) for omission in omissions)
    for (field, error), count in times.most_common(MAX_LOGGED_OMISSIONS):
        entry = next((o.entry for o in omissions if (o.field, o.error) == (field, error)), None)
        _log.warning(
            "digital_river.unreadable", route=route, field=field, error=error, entry=entry, times=count
        )
