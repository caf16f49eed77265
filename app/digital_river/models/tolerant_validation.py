"""Validates a model without its invalid parts, and records where they were, but not their values."""

import re
from collections import Counter
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ModelWrapValidatorHandler, ValidationError

IDENTIFIER: Final = r"^[^\s\pC/\x{FFFD}]+$"
"""A pattern for pydantic: no spaces, slashes or invisible characters, and no U+FFFD, the sign of cleaning."""

LONGEST_IDENTIFIER: Final = 200
_LOGGABLE = re.compile(r"[\w.:@|+=~-]{1,200}", re.ASCII)


class Essential:
    """Marks a field type: if such a field is invalid, the model that contains it is invalid."""


ESSENTIAL: Final = Essential()

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Omission:
    """What was left out: `Order.items.3.amount` is an entry of a list, `Party.phone` a single value."""

    field: str
    error: str
    entry: str | None


@dataclass
class OmissionLog:
    """The validation context that makes models leave out invalid parts, and collects what they left out."""

    omissions: list[Omission] = field(default_factory=list)

    def set_entry(self, start: int, entry: str | None) -> None:
        """Set the entry of all omissions since `start`."""
        if entry is not None:
            self.omissions[start:] = [replace(omission, entry=entry) for omission in self.omissions[start:]]


def validate_with_omissions(
    model: type[ModelT],
    fields: MutableMapping[str, Any],
    handler: ModelWrapValidatorHandler[ModelT],
    log: OmissionLog,
) -> tuple[ModelT, Mapping[str, int]]:
    """The model without its invalid parts, and how many entries of each of its lists and maps were left out.

    Raises:
        ValidationError: a required or essential field is invalid.
    """
    omitted: Counter[str] = Counter()
    start = len(log.omissions)
    while True:
        try:
            instance = handler(fields)
        except ValidationError as error:
            # Each round removes what the round before reported, or raises, so the loop ends.
            omitted += _omit_invalid(model, fields, error, log)
        else:
            log.set_entry(start, _loggable_id(model, fields))
            return instance, omitted


def without_nulls(value: Any) -> Any:
    """A list or map without its nulls; an empty tuple for null."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if item is not None}
    return [item for item in value if item is not None] if isinstance(value, list | tuple) else value


def _omit_invalid(
    model: type[BaseModel], fields: MutableMapping[str, Any], error: ValidationError, log: OmissionLog
) -> Counter[str]:
    rules = _field_rules(model)
    invalid: dict[str, set[Any]] = {}
    omissions: list[Omission] = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        name, *inside = detail["loc"] or ("",)
        field_name = rules.fields.get(str(name))
        is_entry = field_name in rules.collections and bool(inside)
        if field_name is None or (field_name in rules.essential and not is_entry):
            raise error
        invalid.setdefault(str(name), set()).add(inside[0] if is_entry else None)
        where = ".".join((model.__name__.partition("[")[0], str(name), *map(_loggable_step, inside)))
        entry = _loggable_entry_id(rules, field_name, fields[str(name)], inside) if is_entry else None
        omissions.append(Omission(where, detail["type"], entry))
    log.omissions += omissions
    return _remove(rules, fields, invalid)


def _remove(
    rules: "_FieldRules", fields: MutableMapping[str, Any], invalid: Mapping[str, set[Any]]
) -> Counter[str]:
    omitted: Counter[str] = Counter()
    for name, keys in invalid.items():
        values = without_nulls(fields[name])
        if None in keys:
            del fields[name]
        elif isinstance(values, Mapping):
            fields[name] = {key: item for key, item in values.items() if key not in keys}
        else:
            fields[name] = [item for key, item in enumerate(values) if key not in keys]
        if rules.fields[name] in rules.collections:
            omitted[rules.fields[name]] += len(keys)
    return omitted


@dataclass(frozen=True)
class _FieldRules:
    """What may be left out of a model. `fields` maps each name that a field can have in JSON to the field."""

    fields: Mapping[str, str]
    essential: frozenset[str]
    collections: Mapping[str, Any]


@cache
def _field_rules(model: type[BaseModel]) -> _FieldRules:
    fields: dict[str, str] = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else [alias]
        fields |= {str(key): name for key in (name, *others) if key is not None}
    return _FieldRules(
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
        return bool(_field_rules(annotation).essential)
    return False


def _loggable_step(part: int | str) -> str:
    # Keys of a map may contain personal data, so only names that look like fields are logged.
    return str(part) if isinstance(part, int) or part.isidentifier() else "*"


def _loggable_id(model: type, fields: Mapping[str, Any]) -> str | None:
    """The id for the log; None without an id, or if the id identifies a buyer."""
    id_ = fields.get("id")
    if not getattr(model, "id_may_be_logged", False) or not isinstance(id_, str | int):
        return None
    return str(id_) if _LOGGABLE.fullmatch(str(id_)) else None


def _loggable_entry_id(
    rules: _FieldRules, field_name: str, values: Any, inside: list[int | str]
) -> str | None:
    values, key = without_nulls(values), inside[0]
    entry_type, *_ = rules.collections[field_name]
    if not isinstance(entry_type, type) or not isinstance(key, int) or not isinstance(values[key], Mapping):
        return None
    return _loggable_id(entry_type, values[key])
