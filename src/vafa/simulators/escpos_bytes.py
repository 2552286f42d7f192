"""Reads ESC/POS bytes as a printer does: command by command, however they arrive.

It shares nothing with receipt/. The commands are Epson's, as its manual names them; those a small printer
knows. What it does not know it prints as text, as real ones do.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """Bytes to print with the printer's own letters."""

    data: bytes


@dataclass(frozen=True)
class NewLine:
    """LF: print what stands in the line."""


@dataclass(frozen=True)
class Raster:
    """GS v 0: a picture of width_bytes × 8 by height dots."""

    width_bytes: int
    height: int
    data: bytes


@dataclass(frozen=True)
class Symbol:
    """GS ( k: a function of the QR code with its parameters."""

    function: int
    data: bytes


@dataclass(frozen=True)
class Feed:
    """ESC J n: n rows of paper."""

    rows: int


@dataclass(frozen=True)
class Cut:
    """GS V: through the paper."""


@dataclass(frozen=True)
class Align:
    """ESC a n: 0 left, 1 centre, 2 right."""

    where: int


@dataclass(frozen=True)
class Reset:
    """ESC @."""


@dataclass(frozen=True)
class Ask:
    """DLE EOT n: answered at once."""

    what: int


Command = Text | NewLine | Raster | Symbol | Feed | Cut | Align | Reset | Ask

# command: how many bytes follow it, whose meaning we leave aside
_IGNORED = {
    b"\x1bt": 1,
    b"\x1bE": 1,
    b"\x1bG": 1,
    b"\x1b!": 1,
    b"\x1d!": 1,
    b"\x1bd": 1,
    b"\x1b3": 1,
    b"\x1b2": 0,
}


class Reader:
    """Takes bytes, gives commands; keeps what is not whole yet."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are whole now."""
        self._rest += data
        found: list[Command] = []
        while self._rest:
            read = _next(self._rest)
            if read is None:
                break
            command, used = read
            self._rest = self._rest[used:]
            if command is not None:
                found.append(command)
        return found


def _next(data: bytes) -> tuple[Command | None, int] | None:
    """(command or None when it has no picture, bytes used); None: more bytes are needed."""
    if data[:1] == b"\n":
        return NewLine(), 1
    if data[0] not in b"\x10\x1b\x1d":
        end = next((at for at, byte in enumerate(data) if byte in b"\n\x10\x1b\x1d"), len(data))
        return Text(data[:end]), end
    if len(data) < 2:
        return None
    if data[:2] in _IGNORED:
        used = 2 + _IGNORED[data[:2]]
        return (None, used) if len(data) >= used else None
    parse = _PARSERS.get(data[:2])
    return parse(data) if parse else (Text(data[:1]), 1)


def _short(data: bytes) -> tuple[Command, int] | None:
    """ESC J n, ESC a n, DLE EOT n."""
    if len(data) < 3:
        return None
    if data[0] == 0x10:
        return Ask(data[2]), 3
    return (Feed(data[2]) if data[1:2] == b"J" else Align(data[2])), 3


def _raster(data: bytes) -> tuple[Command, int] | None:
    if len(data) < 8:
        return None
    width, height = int.from_bytes(data[4:6], "little"), int.from_bytes(data[6:8], "little")
    used = 8 + width * height
    return (Raster(width, height, data[8:used]), used) if len(data) >= used else None


def _symbol(data: bytes) -> tuple[Command | None, int] | None:
    if len(data) < 5:
        return None
    used = 5 + int.from_bytes(data[3:5], "little")
    if len(data) < used:
        return None
    is_qr = data[2:3] == b"k" and data[5:6] == b"1" and used >= 7
    return (Symbol(data[6], data[7:used]) if is_qr else None), used


def _cut(data: bytes) -> tuple[Command, int] | None:
    """GS V 0 | 1 | 48 | 49, or GS V 65 | 66 n."""
    if len(data) < 3:
        return None
    used = 4 if data[2] in (65, 66) else 3
    return (Cut(), used) if len(data) >= used else None


_PARSERS: dict[bytes, Callable[[bytes], tuple[Command | None, int] | None]] = {
    b"\x1b@": lambda _: (Reset(), 2),
    b"\x1dv": _raster,
    b"\x1d(": _symbol,
    b"\x1dV": _cut,
    b"\x1bJ": _short,
    b"\x1ba": _short,
    b"\x10\x04": _short,
}
