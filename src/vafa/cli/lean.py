"""Loads msgspec, which everything here is made of, without typing_extensions where that is installed too.

msgspec asks it for two names that typing has had since Python 3.11, and loading it loads inspect: a third of
msgspec's own import, in the tenth of a second that a person waits for `vafa status`. Whoever imports
typing_extensions later gets it.
"""

import sys
from importlib import import_module

_ASKED = "typing_extensions"


def load_msgspec() -> None:
    """Changes nothing where either is loaded already."""
    if "msgspec" in sys.modules or _ASKED in sys.modules:
        return
    sys.modules[_ASKED] = None  # type: ignore[assignment]  # an import of it fails (language reference §5.3.1)
    try:
        import_module("msgspec")
    finally:
        del sys.modules[_ASKED]
