"""Digital River's lists: filters, comparators, cursors, newest first.

Source: Digital River OpenAPI document (parameters) and its introduction (paging).
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.commerce.money import find_decimal
from sandbox.errors import ApiError, ErrorDetail
from sandbox.json_types import Json
from sandbox.state.clock import find_time

Getter = Callable[[Json], object]
_Ordered = TypeVar("_Ordered", datetime, Decimal)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_PAGING = frozenset({"limit", "startingAfter", "endingBefore"})
_DEFAULT_LIMIT, _LARGEST_LIMIT = 10, 100
_BRACKETED = re.compile(r"(?P<name>[^\[\]]+)\[(?P<comparator>[^\[\]]*)\]")


def member(path: str) -> Getter:
    """Reads a possibly nested member, `stateTransitions.accepted`; None if absent."""
    names = path.split(".")

    def read(resource: Json) -> object:
        value: object = resource
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return read


@dataclass(frozen=True)
class Filters:
    """The query parameters of one list besides paging: name → the member it is compared with.

    equals: one text (a getter may return several values). any_of: repeated or comma-separated texts.
    timestamps, numbers: deepObject comparators; a plain value means equality.
    route_filters: names that the route evaluates itself.
    """

    equals: Mapping[str, Getter] = field(default_factory=dict)
    any_of: Mapping[str, Getter] = field(default_factory=dict)
    timestamps: Mapping[str, Getter] = field(default_factory=dict)
    numbers: Mapping[str, Getter] = field(default_factory=dict)
    route_filters: frozenset[str] = frozenset()


def by_member(*names: str) -> dict[str, Getter]:
    """Filters with the name of the member that they compare."""
    return {name: member(name) for name in names}


def values_of(request: Request, name: str) -> list[str]:
    """Repeated, bracketed or comma-separated: `ids=a&ids=b`, `ids[]=a` and `ids=a,b` mean the same."""
    given = [*request.query_params.getlist(name), *request.query_params.getlist(f"{name}[]")]
    return [text for part in given for text in part.split(",") if text]


def list_response(
    request: Request,
    resources: Mapping[str, Json],
    filters: Filters,
    *,
    show: Callable[[Json], Json] = lambda resource: resource,
    keep: Callable[[Json], bool] = lambda _resource: True,
) -> Response:
    """`{"hasMore", "data"}`, newest first. Raises one 400 with an error for each invalid parameter."""
    errors: list[ErrorDetail] = []
    tests = [*_conditions(request, filters, errors), keep]
    limit = _limit(request, errors)
    cursor = _find_cursor(request, resources, errors)
    if errors:
        raise ApiError(400, *errors)
    chosen = [row for row in resources.values() if row["id"] == cursor[1] or all(test(row) for test in tests)]
    rows, has_more = _page(sorted(chosen, key=_created)[::-1], cursor, limit)
    return JSONResponse({"hasMore": has_more, "data": [show(row) for row in rows]})


def _created(resource: Json) -> str:
    return str(resource.get("createdTime", ""))


def _limit(request: Request, errors: list[ErrorDetail]) -> int:
    text = request.query_params.get("limit", str(_DEFAULT_LIMIT))
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= _LARGEST_LIMIT:
        errors.append(_invalid_parameter("limit", text))
        return _DEFAULT_LIMIT
    return int(text)


def _find_cursor(
    request: Request, resources: Mapping[str, Json], errors: list[ErrorDetail]
) -> tuple[str, str | None]:
    """The cursor's parameter and its id. `endingBefore` wins over `startingAfter`."""
    for name in ("endingBefore", "startingAfter"):
        cursor = request.query_params.get(name)
        if cursor is not None:
            if cursor not in resources:
                errors.append(_invalid_parameter(name, cursor))
            return name, cursor
    return "startingAfter", None


def _page(rows: list[Json], cursor: tuple[str, str | None], limit: int) -> tuple[list[Json], bool]:
    """The page after (or before) the cursor, and whether the list continues in that direction."""
    name, resource_id = cursor
    at = next((index for index, row in enumerate(rows) if row["id"] == resource_id), None)
    if at is None:
        return rows[:limit], len(rows) > limit
    if name == "endingBefore":
        return rows[max(0, at - limit) : at], at > limit
    behind = rows[at + 1 :]
    return behind[:limit], len(behind) > limit


def _conditions(
    request: Request, filters: Filters, errors: list[ErrorDetail]
) -> Iterable[Callable[[Json], bool]]:
    any_of = {"ids": member("id"), **filters.any_of}
    for key, text in request.query_params.multi_items():
        matched = _BRACKETED.fullmatch(key)
        name, comparator = (matched["name"], matched["comparator"]) if matched else (key, "eq")
        if name in _PAGING or name in filters.route_filters:
            continue
        if name in filters.equals and not matched:
            yield _equals(filters.equals[name], text)
        elif name in any_of:
            yield _is_one_of(any_of[name], frozenset(values_of(request, name)))
        elif name in filters.timestamps or name in filters.numbers:
            yield from _comparison(filters, name, comparator, text, errors)
        else:
            errors.append(ErrorDetail(f"'{key}' is an unknown parameter.", "unknown_parameter", key))


def _equals(get: Getter, expected: str) -> Callable[[Json], bool]:
    def test(resource: Json) -> bool:
        value = get(resource)
        values = value if isinstance(value, list) else [value]
        return any(_as_text(item) == expected for item in values)

    return test


def _is_one_of(get: Getter, allowed: frozenset[str]) -> Callable[[Json], bool]:
    return lambda resource: get(resource) in allowed


def _as_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _comparison(
    filters: Filters, name: str, comparator: str, text: str, errors: list[ErrorDetail]
) -> Iterable[Callable[[Json], bool]]:
    if comparator not in _COMPARISONS:
        errors.append(_invalid_parameter(f"{name}[{comparator}]", text))
    elif name in filters.timestamps:
        timestamp = find_time(text)
        if timestamp is None:
            errors.append(_invalid_parameter(name, text))
        else:
            yield _compares(lambda row: find_time(filters.timestamps[name](row)), comparator, timestamp)
    else:
        number = find_decimal(text)
        if number is None:
            errors.append(_invalid_parameter(name, text))
        else:
            yield _compares(lambda row: find_decimal(filters.numbers[name](row)), comparator, number)


def _compares(
    get: Callable[[Json], _Ordered | None], comparator: str, bound: _Ordered
) -> Callable[[Json], bool]:
    def test(resource: Json) -> bool:
        value = get(resource)
        return value is not None and _COMPARISONS[comparator](value, bound)

    return test


def _invalid_parameter(parameter: str, text: str) -> ErrorDetail:
    return ErrorDetail(f"'{text}' is not a valid {parameter}.", "invalid_parameter", parameter)
