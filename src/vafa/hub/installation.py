"""One hub's database and folder, opened: by the serving process and by every administration verb."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vafa.hub.database import Database, prepared
from vafa.hub.embedded import EmbeddedPostgres
from vafa.hub.migrations import migrate
from vafa.model.errors import HubError

STATE = Path("/var/lib/vafa-hub")


@contextmanager
def opened(dsn: str, state: Path) -> Iterator[Database]:
    """The database `dsn` names, else the embedded one in `state`; brought to this program's schema."""
    with ExitStack() as stack:
        if not dsn:
            made_state(state)
            dsn = stack.enter_context(EmbeddedPostgres(state)).dsn
        prepared(dsn, migrate)
        database = Database(dsn)
        stack.callback(database.close)
        yield database


def made_state(state: Path) -> None:
    """The state folder, made where it is missing. HubError when that may not be."""
    try:
        state.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise HubError(
            f"the state folder {state} cannot be made ({error.strerror})",
            fix="--state DIR names another one; or run it with sudo",
            code="HUB-002",
        ) from error
    if not os.access(state, os.R_OK | os.X_OK):
        raise HubError(f"the state folder {state} may not be read", fix="run it with sudo", code="HUB-002")
