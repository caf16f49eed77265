"""Leaves out of what was sent what cannot be read, and remembers where that was; never what stood there."""

import re
from collections import Counter
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ModelWrapValidatorHandler, ValidationError

IDENTIFIER: Final = r"^[^\s\pC/\x{FFFD}]+$"
"""For pydantic: no spaces, no slashes, nothing invisible, and nothing that was cleaned."""

LONGEST_IDENTIFIER: Final = 200
_LOGGABLE = re.compile(r"[\w.:@|+=~-]{1,200}", re.ASCII)


class Essential:
    """Marks a type: what holds one that cannot be read cannot be read itself."""


ESSENTIAL: Final = Essential()

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Misfit:
    """A place that could not be read: `Order.items.3.amount` is one entry lost, `Party.phone` one leaf."""

    field: str
    error: str
    entry: str | None


@dataclass
class Repairs:
    """The context of a reading that leaves out what it must, and what it left out."""

    misfits: list[Misfit] = field(default_factory=list)

    def name_entry(self, start: int, entry: str | None) -> None:
        """Everything since `start` belongs to this entry."""
        if entry is not None:
            self.misfits[start:] = [replace(one, entry=entry) for one in self.misfits[start:]]


def repaired(
    model: type[ModelT],
    told: MutableMapping[str, Any],
    handler: ModelWrapValidatorHandler[ModelT],
    repairs: Repairs,
) -> tuple[ModelT, Mapping[str, int]]:
    """The model without what cannot be read, and how many entries each of its lists and maps lost.

    Raises:
        ValidationError: it is something that cannot be left out.
    """
    lost: Counter[str] = Counter()
    start = len(repairs.misfits)
    while True:
        try:
            made = handler(told)
        except ValidationError as error:
            # Each round takes away what the one before complained of, or ends.
            lost += _leave_out(model, told, error, repairs)
        else:
            repairs.name_entry(start, _entry(model, told))
            return made, lost


def without_nulls(value: Any) -> Any:
    """A list or map without its nulls; an empty one for null."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if item is not None}
    return [item for item in value if item is not None] if isinstance(value, list | tuple) else value


def _leave_out(
    model: type[BaseModel], told: MutableMapping[str, Any], error: ValidationError, repairs: Repairs
) -> Counter[str]:
    plan = _plan(model)
    places: dict[str, set[Any]] = {}
    misfits: list[Misfit] = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name, *inside = problem["loc"] or ("",)
        field_name = plan.fields.get(str(name))
        is_entry = field_name in plan.collections and bool(inside)
        if field_name is None or (field_name in plan.essential and not is_entry):
            raise error
        places.setdefault(str(name), set()).add(inside[0] if is_entry else None)
        where = ".".join((model.__name__.partition("[")[0], str(name), *map(_step, inside)))
        entry = _entry_at(plan, field_name, told[str(name)], inside) if is_entry else None
        misfits.append(Misfit(where, problem["type"], entry))
    repairs.misfits += misfits
    return _drop(plan, told, places)


def _drop(plan: "_Plan", told: MutableMapping[str, Any], places: Mapping[str, set[Any]]) -> Counter[str]:
    lost: Counter[str] = Counter()
    for name, keys in places.items():
        held = without_nulls(told[name])
        if None in keys:
            del told[name]
        elif isinstance(held, Mapping):
            told[name] = {key: item for key, item in held.items() if key not in keys}
        else:
            told[name] = [item for key, item in enumerate(held) if key not in keys]
        if plan.fields[name] in plan.collections:
            lost[plan.fields[name]] += len(keys)
    return lost


@dataclass(frozen=True)
class _Plan:
    """What may be left out of a model. `fields` finds a field under each name it can have in JSON."""

    fields: Mapping[str, str]
    essential: frozenset[str]
    collections: Mapping[str, Any]


@cache
def _plan(model: type[BaseModel]) -> _Plan:
    fields: dict[str, str] = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else [alias]
        fields |= {str(one): name for one in (name, *others) if one is not None}
    return _Plan(
        fields,
        frozenset(
            name
            for name, info in model.model_fields.items()
            if info.is_required() or ESSENTIAL in info.metadata or _is_essential(info.annotation)
        ),
        {
            name: get_args(info.annotation)
            for name, info in model.model_fields.items()
            if get_origin(info.annotation) in {tuple, dict}
        },
    )


def _is_essential(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        return ESSENTIAL in marks or _is_essential(inner)
    if origin in {Union, UnionType}:
        return any(map(_is_essential, get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return bool(_plan(annotation).essential)
    return False


def _step(part: int | str) -> str:
    # Names of members are ours unless they are keys of a map, which anybody may have chosen.
    return str(part) if isinstance(part, int) or part.isidentifier() else "*"


def _entry(model: type, told: Mapping[str, Any]) -> str | None:
    """The id, for a log; None where there is none, or where it tells who the buyer is."""
    told_id = told.get("id")
    if not getattr(model, "id_may_be_logged", False) or not isinstance(told_id, str | int):
        return None
    return str(told_id) if _LOGGABLE.fullmatch(str(told_id)) else None


def _entry_at(plan: _Plan, field_name: str, held: Any, inside: list[int | str]) -> str | None:
    held, key = without_nulls(held), inside[0]
    kind, *_ = plan.collections[field_name]
    if not isinstance(kind, type) or not isinstance(key, int) or not isinstance(held[key], Mapping):
        return None
    return _entry(kind, held[key])
