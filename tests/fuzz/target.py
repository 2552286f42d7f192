"""What is fuzzed: where real frames come from, how a spoilt one is made good again, what must hold of any."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import ClassVar

MEMORY = Path("/dev/shm")  # noqa: S108 - inputs by chance, gone with the run


class Target:
    """One reader of bytes from outside. Made once for many inputs; `close` gives back what it opened.

    name      for people
    share     how many inputs of a whole run it gets, beside the others' shares: what is slow gets fewer
    what      what it reads, in a line
    bytes_max the longest input
    cpu_s_max the longest an input may take, in CPU seconds
    seeds     real frames;  words: what the format is made of
    """

    name: ClassVar[str]
    share: ClassVar[int]
    what: ClassVar[str]
    bytes_max: ClassVar[int] = 4_096
    cpu_s_max: ClassVar[float] = 1.0
    seeds: Sequence[bytes] = ()
    words: Sequence[bytes] = ()

    def sealed(self, data: bytes, random: Random) -> bytes:
        """A spoilt frame with its checksum, length or signature made good; as it is where there is none."""
        return data

    def judge(self, data: bytes, random: Random) -> str:
        """Read it. A word for what came of it; AssertionError, or anything else raised, is a finding."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back files and the like."""


class Housed(Target):
    """A target with a directory of its own, in memory where there is some."""

    def __init__(self) -> None:
        at = MEMORY if MEMORY.is_dir() else None
        self._house = tempfile.TemporaryDirectory(prefix="vafa-fuzz-", dir=at)
        self.directory = Path(self._house.name)

    def close(self) -> None:
        self._house.cleanup()
