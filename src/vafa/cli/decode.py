"""`vafa decode`: what captured bytes mean, one JSON object an event, card numbers masked.

Bytes come raw or as hex text, from a file, from stdin or from the command line, and are read in pieces, so a
capture may be larger than memory. Noise is counted and never shown: it may hold a card number.
"""

import codecs
import difflib
import importlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import click
import msgspec

_PIECE_BYTES = 65_536
_BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")  # no text holds these; every capture of a protocol does
_BETWEEN_BYTES = re.compile(rb"0[xX]|[\s,:;-]+")
_NOT_HEX = re.compile(rb"[^0-9a-fA-F]")
_HEX_ARGUMENT = re.compile(r"[0-9a-fA-FxX\s,:;-]+")

# protocol -> module in vafa.cli with a `Decoder`; another protocol is one more line here
PROTOCOLS = {"sadad": "vafa.cli.decode_sadad"}

Event = dict[str, Any]


class Decoder(Protocol):
    """What a protocol brings: bytes in, events out, however the bytes are split."""

    def feed(self, received: bytes) -> list[Event]: ...

    def flush(self) -> list[Event]: ...


@click.command()
@click.argument("protocol", metavar="PROTOCOL")
@click.argument("source", metavar="[FILE|HEX|-]", default="-")
def command(protocol: str, source: str) -> None:
    """Say what captured bytes mean: one JSON object an event, card numbers masked.

    PROTOCOL is sadad. FILE holds raw bytes or hex text (blanks, 0x and # comments are fine); - is stdin.
    """
    decoder = decoder_for(protocol)
    total = 0
    tally = {"frames": 0, "malformed": 0, "noise_runs": 0, "noise_bytes": 0}
    for piece in captured(source):
        total += len(piece)
        _tell(decoder.feed(piece), tally)
    _tell(decoder.flush(), tally)
    _write({"event": "summary", "protocol": protocol, "bytes": total, **tally})


def decoder_for(protocol: str) -> Decoder:
    """The protocol's decoder. UsageError with the nearest right name when there is none."""
    if protocol not in PROTOCOLS:
        near = difflib.get_close_matches(protocol.lower(), PROTOCOLS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(PROTOCOLS)}."
        raise click.UsageError(f"No such protocol {protocol[:40]!r}. {hint}")
    make: Callable[[], Decoder] = importlib.import_module(PROTOCOLS[protocol]).Decoder
    return make()


def _tell(events: list[Event], tally: dict[str, int]) -> None:
    for event in events:
        if event["event"] == "noise":
            tally["noise_runs"] += 1
            tally["noise_bytes"] += event["length"]
        else:
            tally["frames"] += 1
            tally["malformed"] += "malformed" in event
        _write(event)


def _write(event: Event) -> None:
    click.echo(msgspec.json.encode(event))  # bytes: UTF-8 whatever the locale says


def captured(source: str) -> Iterator[bytes]:
    """The bytes of `source` in pieces: stdin for `-`, else a file that exists, else hex."""
    if source == "-":
        yield from _raw_or_hex(sys.stdin.buffer, "stdin")
        return
    try:
        is_there = Path(source).exists()
    except OSError:
        is_there = False  # a name too long for a file: hex, most likely
    if is_there:
        try:
            with Path(source).open("rb") as file:
                yield from _raw_or_hex(file, source)
        except OSError as error:
            raise click.UsageError(f"{source}: cannot be read ({error.strerror}).") from error
    elif _HEX_ARGUMENT.fullmatch(source):
        yield from _hex(io.BytesIO(source.encode("ascii")), "the hex given")
    else:
        raise click.UsageError(f"{source[:60]!r} is no file here, and no hex.")


def _raw_or_hex(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Text must be hex; what is no text in its first piece is taken as it stands."""
    first = stream.read(_PIECE_BYTES)
    if _is_text(first):
        yield from _hex(_Rewound(first.removeprefix(_BOM), stream), name)
        return
    while first:
        yield first
        first = stream.read(_PIECE_BYTES)


def _is_text(piece: bytes) -> bool:
    """UTF-8 without control characters; the piece may end inside a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(piece)
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(piece)


class _Rewound:
    """A stream of lines of which the first bytes have been read already (stdin cannot seek)."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first, self._rest = io.BytesIO(first), rest

    def readline(self, limit: int) -> bytes:
        line = self._first.readline(limit)
        return line if line.endswith(b"\n") else line + self._rest.readline(limit)


class _Lines(Protocol):
    def readline(self, limit: int, /) -> bytes: ...


def _hex(stream: _Lines, name: str) -> Iterator[bytes]:
    """The bytes that hex text stands for. A line may be longer than a piece; a byte stays on one line."""
    line, half, in_comment = 1, b"", False
    while True:
        text = stream.readline(_PIECE_BYTES)
        ends = text.endswith(b"\n") or not text
        code, mark, _comment = text.partition(b"#")
        digits = half + (b"" if in_comment else code)
        in_comment = (in_comment or bool(mark)) and not ends
        digits = _BETWEEN_BYTES.sub(b"", digits)
        wrong = _NOT_HEX.search(digits)
        if wrong:
            sign = wrong.group().decode("ascii", "replace")
            raise click.UsageError(f"{name}, line {line}: {sign!r} is no hex digit.")
        if len(digits) % 2 and (ends or in_comment):
            raise click.UsageError(f"{name}, line {line}: an odd number of hex digits; one is missing.")
        even = len(digits) - len(digits) % 2
        half = digits[even:]
        yield bytes.fromhex(digits[:even].decode("ascii"))
        if not text:
            return
        line += ends
