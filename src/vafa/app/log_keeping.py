"""Keeps the ledger's write-ahead log at its full size and moves it into the database beside the sales.

SQLite would do it in the commit that makes the log too long: on a slow disk that sale, and on a busy device
every lane behind it, waits for a hundred writes and two flushes of the database. So a thread does it before,
each time so many commits have come; the job of each hour looks after the rest. Where both failed SQLite still
does it by itself.
"""

import threading
from collections.abc import Callable

import structlog

from vafa.ledger import log_file
from vafa.ledger.ledger import Ledger
from vafa.model.errors import LedgerError

COMMITS_UNTIL_MOVED = 500  # about 2,600 pages of the 4,000 at which a commit would do it
COMMITS_WORTH_MOVING = 200  # fewer wait: each move costs five flushes and what of its pages is written twice
PAUSE_S = 0.002  # between slices; who takes a free lock again at once keeps everybody out who waits for it

log = structlog.get_logger()


class LogKeeper:
    """`committed` is for the ledger's followers, `run` its thread, `job` what the scheduler calls.

    pause  waits so many seconds, or until the keeper is stopped: then it says True
    """

    def __init__(self, ledger: Ledger, pause: Callable[[float], bool] | None = None) -> None:
        self._ledger = ledger
        self._commits = 0  # since the log was moved, about: two threads may count as one
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        ledger.followers.append(self.committed)

    def committed(self) -> None:
        """Told after each commit, on its thread."""
        self._commits += 1
        if self._commits >= COMMITS_UNTIL_MOVED:
            self._wake.set()

    def run(self) -> None:
        """Until stopped. A disk that refuses is said in the log; SQLite tries again in a commit."""
        while self._wake.wait() and not self._stopping.is_set():
            self._wake.clear()
            try:
                self.moved()
            except LedgerError as error:
                log.warning("log not moved", reason=str(error), fix=error.fix)

    def stop(self) -> None:
        """`run` returns."""
        self._stopping.set()
        self._wake.set()

    def moved(self) -> log_file.LogMoved:
        """Move it now."""
        self._commits = 0
        return log_file.move(self._ledger.path)

    def fill(self) -> None:
        """Give the log its full size; sales go between its slices. LedgerError: the disk refuses."""
        while self._ledger.extend_log() and not self._pause(PAUSE_S):
            pass

    def job(self) -> object:
        """What the hour's job does; '' for nothing."""
        self.fill()
        return self.moved() if self._commits >= COMMITS_WORTH_MOVING else ""
