"""The tests. Importing the product is made cheaper before any of them does it."""

import inspect
import sys
from types import FrameType, ModuleType

_getmodule = inspect.getmodule


def _module_of(item: object, _filename: str | None = None) -> ModuleType | None:
    """`inspect.getmodule`, which walks over all loaded modules for each frame that it does not know. Pydantic
    calls it for every frame of every model's definition, to find the docstrings of the fields."""
    if isinstance(item, FrameType):
        return sys.modules.get(item.f_globals.get("__name__", ""))
    return _getmodule(item, _filename)


# The stub calls the first parameter `object`, which hides a built-in name.
inspect.getmodule = _module_of  # type: ignore[assignment]
