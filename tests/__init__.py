"""The tests. Importing the product is made cheaper before any of them does it."""

import inspect
import sys
from types import FrameType, ModuleType

_getmodule = inspect.getmodule


def _module_of(thing: object, _filename: str | None = None) -> ModuleType | None:
    """`inspect.getmodule`, which walks over all loaded modules for each frame that it does not know. Pydantic
    calls it for every frame of every model's definition, to find the docstrings of the fields."""
    if isinstance(thing, FrameType):
        return sys.modules.get(thing.f_globals.get("__name__", ""))
    return _getmodule(thing, _filename)


inspect.getmodule = _module_of
