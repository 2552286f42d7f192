"""Keeps a large module out of memory while a library is imported that asks little of it, or nothing.

The library gets a stand-in, which answers what it is known to ask and goes for the real module when anything
else of it is used: memory is saved where it can be, and nothing else changes. Whoever imports the module
later gets the real one.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what an import asks of every module; the real one's own is not meant
            raise AttributeError(name)
        _put_away(self)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def kept_out(module: str, **answers: object) -> Iterator[None]:
    """Imports inside get a stand-in with these answers. Changes nothing when the module is loaded already."""
    stand_in = _StandIn(module)
    vars(stand_in).update(answers)
    sys.modules.setdefault(module, stand_in)
    try:
        yield
    finally:
        _put_away(stand_in)


def _put_away(stand_in: ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
