"""The far end of a cable for tests: a pty whose slave is found under a name that stays."""

import os
import select
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 20.0


class CableEnd:
    """`plug` makes the port appear under `path`, `pull` takes it away, as a USB adapter comes and goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master = self._slave = -1
        self._heard = b""

    def plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        draft = self.path.with_name(self.path.name + ".new")
        draft.symlink_to(os.ttyname(self._slave))
        draft.replace(self.path)
        self._heard = b""

    def pull(self) -> None:
        if self._master >= 0:
            self.path.unlink()
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1

    def settings(self) -> list[object]:
        """termios attributes as the daemon has set them on the slave."""
        return list(termios.tcgetattr(self._slave))

    def send(self, data: bytes, chunk: int = 4096) -> None:
        """All of it, in pieces of `chunk` bytes; waits while the line is full."""
        until = time.monotonic() + PATIENCE_S
        for at in range(0, len(data), chunk):
            rest = data[at : at + chunk]
            while rest:
                assert time.monotonic() < until, "nobody takes the bytes"
                select.select([], [self._master], [], 1.0)
                try:
                    rest = rest[os.write(self._master, rest) :]
                except BlockingIOError:
                    continue

    def wait_until_opened(self) -> None:
        """The newline with which the daemon begins; what is sent before, its opening throws away."""
        assert select.select([self._master], [], [], PATIENCE_S)[0]
        assert os.read(self._master, 1) == b"\n"

    def line(self, within_s: float = PATIENCE_S) -> bytes | None:
        """The next line that is not empty, None when none comes."""
        until = time.monotonic() + within_s
        while True:
            line, newline, rest = self._heard.partition(b"\n")
            if newline:
                self._heard = rest
                if line:
                    return line
                continue
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self._master], [], [], left_s)[0]:
                return None
            self._heard += os.read(self._master, 65_536)

    @contextmanager
    def lent(self) -> Iterator[str]:
        """A port at the cable's far end, for a program that opens one by its name."""
        master, slave = os.openpty()
        tty.setraw(slave)
        done = threading.Event()

        def carry() -> None:
            while not done.is_set():
                for end in select.select([master, self._master], [], [], 0.02)[0]:
                    os.write(self._master if end == master else master, os.read(end, 4096))

        carrier = threading.Thread(target=carry)
        carrier.start()
        try:
            yield os.ttyname(slave)
        finally:
            done.set()
            carrier.join()
            os.close(master)
            os.close(slave)
