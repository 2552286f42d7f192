"""Keeps asyncio, and ssl behind it, out of the daemon's memory until somebody really calls it.

Vafa is threads. structlog imports asyncio for asynchronous loggers nobody here uses, APScheduler for one
question, `iscoroutinefunction`; loaded it costs 3 MB for as long as the daemon runs, and a tenth of its
start. While those two are imported they are given a stand-in, which answers that question and goes for the
real module when anything else of it is used. Whoever imports asyncio later gets the real one.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    iscoroutinefunction = staticmethod(inspect.iscoroutinefunction)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what an import asks of every module; asyncio's own is not meant
            raise AttributeError(name)
        _put_away(self)
        return getattr(importlib.import_module("asyncio"), name)


@contextmanager
def asyncio_kept_out() -> Iterator[None]:
    """Imports inside get the stand-in. Changes nothing when asyncio is loaded already."""
    stand_in = _StandIn("asyncio")
    sys.modules.setdefault("asyncio", stand_in)
    try:
        yield
    finally:
        _put_away(stand_in)


def _put_away(stand_in: ModuleType) -> None:
    if sys.modules.get("asyncio") is stand_in:
        del sys.modules["asyncio"]
