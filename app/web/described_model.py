"""Publishes the docstrings of a model's attributes as descriptions in its JSON schema.

pydantic does so too (`use_attribute_docstrings`), but it searches the sources while each class is made, which
was a sixth of the API's CPU time until it was ready. This reads a module once, when a schema is asked for.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue

_Descriptions = Mapping[str, str | None]


class DescribedModel(BaseModel):
    """A model whose JSON schema holds the docstrings of its attributes."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        descriptions = _descriptions_of(cls)
        for name, field in cls.model_fields.items():
            member, description = properties.get(field.alias or name), descriptions.get(name)
            if member is not None and description is not None:
                member.setdefault("description", description)
        return schema


def _descriptions_of(model: type[BaseModel]) -> _Descriptions:
    """The docstring of each attribute, None without one. That of a subclass replaces that of its base."""
    found: dict[str, str | None] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, DescribedModel) and kind is not DescribedModel:
            found |= _read_module(inspect.getfile(kind)).get(kind.__qualname__, {})
    return found


@lru_cache
def _read_module(file: str) -> Mapping[str, _Descriptions]:
    """The attributes of every class in the file, by the qualified name of the class."""
    return dict(_read_classes(ast.parse(Path(file).read_bytes()), ""))


def _read_classes(scope: ast.AST, prefix: str) -> Iterator[tuple[str, _Descriptions]]:
    for node in ast.iter_child_nodes(scope):
        match node:
            case ast.ClassDef():
                yield f"{prefix}{node.name}", _read_attributes(node)
                yield from _read_classes(node, f"{prefix}{node.name}.")
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _read_classes(node, f"{prefix}{node.name}.<locals>.")


def _read_attributes(definition: ast.ClassDef) -> _Descriptions:
    found = {}
    for node, following in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = _docstring(following)
    return found


def _docstring(node: ast.stmt | None) -> str | None:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
    return None
