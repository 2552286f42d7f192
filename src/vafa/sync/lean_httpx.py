"""httpx without its own command line, for which it would load click, rich and pygments wherever they are."""

import importlib
import sys
from types import ModuleType
from typing import Any

_COMMAND_LINE = "httpx._main"


def lean_httpx() -> Any:
    """The module httpx, loaded at the first call; without `_main`, as where click is missing."""
    if "httpx" not in sys.modules:
        blocked: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None: not to be had
        blocked.setdefault(_COMMAND_LINE, None)
        try:
            importlib.import_module("httpx")
        finally:
            if sys.modules.get(_COMMAND_LINE) is None:
                sys.modules.pop(_COMMAND_LINE, None)
    return importlib.import_module("httpx")
