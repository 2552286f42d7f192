"""Loads what everything here is made of without what it drags in, in the tenth of a second that a person
waits for `vafa status`. Whoever imports the rest later gets it.
"""

import os
import sys
from importlib import import_module

_ASKED = "typing_extensions"
_ZONES_AT = "PYTHONTZPATH"
_ZONES = "/usr/share/zoneinfo"
_ALL_ZONES = f"{_ZONES}:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo"  # Python's own default


def load_msgspec() -> None:
    """msgspec without typing_extensions, where that is installed too. Changes nothing where either is loaded.

    msgspec asks it for two names that typing has had since Python 3.11, and loading it loads inspect: a third
    of msgspec's own import.
    """
    if "msgspec" in sys.modules or _ASKED in sys.modules:
        return
    sys.modules[_ASKED] = None  # type: ignore[assignment]  # an import of it fails (language reference §5.3.1)
    try:
        import_module("msgspec")
    finally:
        del sys.modules[_ASKED]


def load_zoneinfo() -> None:
    """zoneinfo without the thousand settings Python was built with: a twentieth of `vafa status`.

    It asks them where the zones lie, unless the environment says it (PEP 615); so that does while it loads.
    Changes nothing where it is loaded already, or where somebody or the system keeps the zones elsewhere.
    """
    if "zoneinfo" in sys.modules or _ZONES_AT in os.environ or not os.path.isdir(_ZONES):  # noqa: PTH112 - loads nothing
        return
    os.environ[_ZONES_AT] = _ALL_ZONES
    try:
        import_module("zoneinfo")
    finally:
        del os.environ[_ZONES_AT]
