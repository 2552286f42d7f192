"""Bytes to lines, however they come apart, with a bound on what one line may hold."""


class LineSplitter:
    """Any split of the bytes gives the same lines. What has no newline yet is kept, so far as a line may go.

    A line that is longer is told once, as None, and skipped to its newline: what comes after it is whole.
    """

    def __init__(self, line_bytes_max: int) -> None:
        self._max = line_bytes_max
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that `data` ends, without their newlines; None for one that is too long."""
        found: list[bytes | None] = []
        searched = len(self._rest)
        self._rest += data
        while (end := self._rest.find(b"\n", searched)) >= 0:
            if self._skipping:
                self._skipping = False
            else:
                found.append(bytes(self._rest[:end]) if end <= self._max else None)
            del self._rest[: end + 1]
            searched = 0
        if len(self._rest) > self._max and not self._skipping:
            self._skipping = True
            found.append(None)
        if self._skipping:
            self._rest.clear()
        return found
