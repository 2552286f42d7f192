"""The plain variant: text for terminals that print it themselves, and Sadad's Opt6.

Sadad breaks lines at commas, Intek reverses several numbers on one line, and neither knows ٬, the zero-width
non-joiner or isolates (protocols/iran.md). So: one number a line, no grouping, no comma, nothing invisible.
"""

import unicodedata

from vafa.receipt.iransystem import encode_lines
from vafa.receipt.numerals import BREAK, ZWNJ
from vafa.receipt.slip import Slip
from vafa.receipt.words import ZONE, worded

OPT6_BYTES_MAX = 500  # protocols/iran.md, Sadad: "up to 500 chars"
_BLANKS = ",،" + ZWNJ  # a blank keeps the two parts of a word apart, as the non-joiner did


class _Shown(dict[int, str | None]):
    """What stands for a character, for str.translate; each is judged when it first comes."""

    def __missing__(self, code: int) -> str | None:
        c = chr(code)
        unseen = c == "٬" or unicodedata.category(c) == "Cf"
        self[code] = " " if c in _BLANKS else None if unseen else c
        return self[code]


_SHOWN = _Shown()


def plain(slip: Slip, lang: str, zone: str = ZONE) -> tuple[str, ...]:
    """The slip's lines for a terminal, in reading order."""
    return tuple(line for _, line in _ranked(slip, lang, zone))


def opt6(slip: Slip, lang: str, zone: str = ZONE) -> bytes:
    """The bytes of Sadad's receipt text, at most OPT6_BYTES_MAX; b'' when there is nothing to say."""
    ranked = _ranked(slip, lang, zone)
    return encode_lines([line for _, line in ranked], [rank for rank, _ in ranked], OPT6_BYTES_MAX)


def _ranked(slip: Slip, lang: str, zone: str) -> list[tuple[int, str]]:
    return [
        (rank, line)
        for rank, shown in worded(slip, lang, zone)
        for line in (plain_line(part, lang) for part in shown.split(BREAK))
        if line
    ]


def plain_line(shown: str, lang: str) -> str:
    """One line without anything a terminal stumbles over. English grouping commas join, others part."""
    if lang == "en":
        shown = _ungrouped(shown)
    return " ".join(shown.translate(_SHOWN).split())


def _ungrouped(shown: str) -> str:
    """1,240 as 1240: a comma between two digits is grouping."""
    return "".join(
        c
        for i, c in enumerate(shown)
        if not (c == "," and shown[i - 1 : i].isdigit() and shown[i + 1 : i + 2].isdigit())
    )
