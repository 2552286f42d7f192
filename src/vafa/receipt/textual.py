"""Slips for printers that take text and no pictures; only where a profile says so in as many words.

Printers' Persian code pages lose letters and differ between makes, so dots are the default (`raster`). A text
profile names what the printer does: its code page, who joins the letters, in which order lines come, and
which digits it has.
"""

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from vafa.receipt import cp1098, iransystem
from vafa.receipt.glyphs import NEAREST, GlyphPage, logical, visual
from vafa.receipt.numerals import BREAK
from vafa.receipt.page import Code, Logo, Page, Rule, Style, Text
from vafa.receipt.terminal import plain_line


class Encoding(Enum):
    """The code page. windows-1256 holds letters, not glyphs: the printer joins them."""

    IRAN_SYSTEM = "iransystem"
    CP1098 = "cp1098"
    WINDOWS_1256 = "windows-1256"


class Order(Enum):
    """VISUAL: bytes as they stand on paper, from its left edge; LOGICAL: as read, the printer turns them."""

    LOGICAL = "logical"
    VISUAL = "visual"


class Digits(Enum):
    """PERSIAN digits where the code page has them (windows-1256 has none)."""

    PERSIAN = "persian"
    LATIN = "latin"


class Setting(Struct, frozen=True):
    """How a text-only printer is spoken to. `columns`: characters a line; `select`: its code page command."""

    encoding: Encoding
    columns: int
    order: Order = Order.VISUAL
    digits: Digits = Digits.PERSIAN
    select: bytes = b""


PAGES: dict[Encoding, GlyphPage] = {Encoding.IRAN_SYSTEM: iransystem.PAGE, Encoding.CP1098: cp1098.PAGE}
_LATIN = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2)
_ARABIC = str.maketrans("یکۀ", "يكه")
_CENTRED = (Style.TITLE, Style.CODE)
NEWLINE = b"\n"


def lines(page: Page, setting: Setting) -> Iterator[bytes]:
    """The page's lines in the printer's bytes, each ended by NEWLINE. Pictures are left out; codes follow.

    A QR code cannot be drawn here; its text is printed, because it is an address somebody can type.
    """
    for block in page.blocks:
        match block:
            case Text(text, style):
                for line in wrapped(text, page.lang, setting.columns):
                    yield placed(encoded(line, setting), page.lang, style, setting) + NEWLINE
            case Rule():
                yield b"-" * setting.columns + NEWLINE
            case Code(text):
                for at in range(0, len(text), setting.columns):
                    yield encoded(text[at : at + setting.columns], setting) + NEWLINE
            case Logo():
                continue


def wrapped(text: str, lang: str, columns: int) -> list[str]:
    """The plain variant of a line, cut to `columns` characters: where its wording says, else at blanks."""
    parts = [plain_line(part, lang) for part in text.split(BREAK)]
    fitting = all(len(part) <= columns for part in parts)
    done = [""]
    for piece in parts if fitting else [word for part in parts for word in part.split()]:
        longer = f"{done[-1]} {piece}".strip()
        if len(longer) <= columns:
            done[-1] = longer
            continue
        done += [piece[at : at + columns] for at in range(0, len(piece), columns)]
    return [line for line in done if line]


def encoded(line: str, setting: Setting) -> bytes:
    """One line in the printer's code page and order; what it has no character for is `?`."""
    if setting.digits is Digits.LATIN or setting.encoding is Encoding.WINDOWS_1256:
        line = line.translate(_LATIN)
    page = PAGES.get(setting.encoding)
    if page is None:
        return "".join(map(_in_1256, line.translate(_ARABIC))).encode("cp1256", "replace")
    return visual(line, page) if setting.order is Order.VISUAL else logical(line, page)


def _in_1256(c: str) -> str:
    """The character, or its nearest where windows-1256 has none: a decimal point for ٫."""
    try:
        c.encode("cp1256")
    except UnicodeEncodeError:
        return c.translate(NEAREST)
    return c


def placed(line: bytes, lang: str, style: Style, setting: Setting) -> bytes:
    """Blanks before it, so that a Persian line ends at the right edge and a title stands in the middle."""
    if style in _CENTRED:
        return b" " * ((setting.columns - len(line)) // 2) + line
    from_right = lang == "fa" and setting.order is Order.VISUAL and setting.encoding in PAGES
    return line.rjust(setting.columns) if from_right else line
