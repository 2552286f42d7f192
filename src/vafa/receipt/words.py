"""Slips, explanations and masks as full text: for the local protocol, a screen and our own printer.

`lang` is 'fa' or 'en'. Terminals that take text need the plain variant instead: see `terminal`.
"""

from collections.abc import Sequence
from fractions import Fraction

from vafa.receipt import wording as wordings
from vafa.receipt.catalogue import say
from vafa.receipt.numerals import BREAK, exact, identifier, theirs
from vafa.receipt.slip import RANKS, AnyLine, Slip

ZONE = "Asia/Tehran"


def text(slip: Slip, lang: str, zone: str = ZONE) -> tuple[str, ...]:
    """The slip's printed lines in reading order; Persian numbers, with isolates where order would suffer."""
    return tuple(shown.replace(BREAK, " ") for _, shown in worded(slip, lang, zone))


def worded(slip: Slip, lang: str, zone: str) -> tuple[tuple[int, str], ...]:
    """(rank, wording with BREAK marks) of each printed line: what `text` and `terminal.plain` share."""
    return tuple((RANKS[type(line)], shown) for line in slip.lines for shown in wording(line, lang, zone))


def wording(line: AnyLine, lang: str, zone: str) -> tuple[str, ...]:
    """The printed lines of one content line, with BREAK marks."""
    return wordings.lines(line, lang, zone)


def step(code: str, values: Sequence[int | Fraction | str], lang: str) -> str:
    """One step of an explanation (club.explain.Step's code and values) in words; names as the shop says them.
    KeyError: unknown code."""
    told = theirs if code in wordings.NAMED else identifier
    shown = (told(each, lang) if isinstance(each, str) else exact(each, lang) for each in values)
    return say(lang, wordings.STEPS[code], *shown)


def mask(masked: str, lang: str) -> str:
    """A masked phone (`0912•••6789`) or card as it may stand inside a sentence of `lang`."""
    return identifier(masked, lang)
