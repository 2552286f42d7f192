"""Keeps asyncio, and ssl behind it, out of the daemon's memory until somebody really calls it.

Vafa is threads. structlog imports asyncio for asynchronous loggers nobody here uses, APScheduler for one
question, `iscoroutinefunction`; loaded it costs 3 MB for as long as the daemon runs, and a tenth of its
start.
"""

import inspect
from contextlib import AbstractContextManager

from vafa.app.stand_ins import kept_out


def asyncio_kept_out() -> AbstractContextManager[None]:
    """Imports inside get a stand-in (`stand_ins`)."""
    return kept_out("asyncio", iscoroutinefunction=inspect.iscoroutinefunction)
