"""The least that a durable record can cost here: 512 B into a preallocated file, then fdatasync.

`python -m vafa.cli.measure.floor DIRECTORY` writes one each EVERY_S until its input ends, then tells what
each took, in seconds, as a JSON list: a floor beside many threads, whose work would be in its times here.
"""

import os
import select
import sys
import time
from pathlib import Path

RECORD_BYTES = 512
_FILE_BYTES = 4 * 1024 * 1024
EVERY_S = 0.01
_RECORD = b"\xa5" * RECORD_BYTES


class Floor:
    """Writes floor records beside the thing measured; the file's blocks exist before the first one."""

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / "floor", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(self._file, bytes(_FILE_BYTES), 0)
        os.fsync(self._file)
        self._at = 0

    def write(self) -> float:
        """One record; how long it took, in seconds."""
        started = time.perf_counter()
        os.pwrite(self._file, _RECORD, self._at)
        os.fdatasync(self._file)
        took = time.perf_counter() - started
        self._at = (self._at + RECORD_BYTES) % _FILE_BYTES
        return took

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def main() -> None:
    """The process beside the work."""
    floor, took_s = Floor(Path(sys.argv[1])), []
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        took_s.append(floor.write())
    floor.close()
    sys.stdout.write(f"{took_s}\n")


if __name__ == "__main__":
    main()
