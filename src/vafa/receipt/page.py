"""From a slip to a page: which line is large, which in the middle, where the merchant's own lines stand.

A page is the last step that does not know its paper's width. `raster` draws it, `escpos` sends it; `text` is
what a screen or the local protocol shows of the same page.
"""

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from vafa.receipt import slip, words
from vafa.receipt.numerals import BREAK, theirs


class Style(Enum):
    """How a line is set; sizes and weights stand in `raster`."""

    TITLE = "title"  # bold, in the middle
    STRONG = "strong"  # why the slip is printed
    BODY = "body"
    CODE = "code"  # digits somebody types off the paper: large, in the middle
    SMALL = "small"  # for support


class Text(Struct, frozen=True, tag=True):
    """One line of a slip; it wraps, first where BREAK marks it."""

    text: str
    style: Style = Style.BODY


class Code(Struct, frozen=True, tag=True):
    """A QR code: drawn by the printer itself, or as a matrix of dots."""

    text: str


class Logo(Struct, frozen=True, tag=True):
    """The merchant's picture file, in the middle of the page."""

    file: str


class Rule(Struct, frozen=True, tag=True):
    """A thin line across the page."""


Block = Text | Code | Logo | Rule


class Page(Struct, frozen=True):
    """What one paper says, in order. `lang` decides the direction: fa runs from the right."""

    lang: str
    blocks: tuple[Block, ...] = ()


class Letterhead(Struct, frozen=True):
    """The merchant's own: lines above and below each slip, a logo's file, and what a QR code holds.

    `code` may name {claim} and {number}; a code that names one the slip has not is left out.
    """

    header: tuple[str, ...] = ()
    footer: tuple[str, ...] = ()
    logo: str = ""
    code: str = ""


STYLES: dict[type[slip.Line], Style] = {
    slip.Header: Style.TITLE,
    slip.Promise: Style.STRONG,
    slip.Earned: Style.STRONG,
    slip.Waiting: Style.STRONG,
    slip.ClawedBack: Style.STRONG,
    slip.ClaimCode: Style.CODE,
    slip.Number: Style.SMALL,
    slip.CheckCode: Style.SMALL,
}  # every other line is BODY


def page(of: slip.Slip, lang: str, zone: str = words.ZONE, letterhead: Letterhead | None = None) -> Page:
    """The slip as a page; without blocks when the slip says nothing, so that nothing is printed."""
    if not of.lines:
        return Page(lang)
    head = letterhead or Letterhead()
    blocks: list[Block] = [Logo(head.logo)] if head.logo else []
    blocks += [Text(theirs(line, lang), Style.TITLE) for line in head.header]
    for line in of.lines:
        style = STYLES.get(type(line), Style.BODY)
        blocks += [Text(shown, style) for shown in words.wording(line, lang, zone)]
        if isinstance(line, slip.Header):
            blocks.append(Rule())
    code = _code(of, head.code)
    blocks += [Code(code)] if code else []
    if head.footer:
        blocks += [Rule(), *(Text(theirs(line, lang)) for line in head.footer)]
    return Page(lang, tuple(blocks))


def text(of: Page) -> tuple[str, ...]:
    """The page's lines for a screen."""
    return tuple(each.text.replace(BREAK, " ") for each in of.blocks if isinstance(each, Text))


def _code(of: slip.Slip, pattern: str) -> str:
    """What the QR code holds, '' for none."""
    values = {
        "claim": _first(of.lines, slip.ClaimCode, "code"),
        "number": _first(of.lines, slip.Number, "number"),
    }
    if not pattern or any(not value and f"{{{name}}}" in pattern for name, value in values.items()):
        return ""
    for name, value in values.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern


def _first(lines: Sequence[slip.AnyLine], kind: type[slip.Line], field: str) -> str:
    return next((str(getattr(line, field)) for line in lines if isinstance(line, kind)), "")
