"""A page as black dots: Persian joined and in its right order, by Pillow with raqm and the font Vazirmatn.

Pillow's wheels carry raqm and HarfBuzz but not the FriBidi library; where that is missing Pillow draws the
letters unjoined and from the left, without a word. So a Typesetter draws a known line first and compares it
with `selfcheck`'s picture, and refuses (ReceiptFault PRN-010) when they differ: never a silent fallback.

Sizes are dots of 203 dpi heads: 384 on 58 mm paper, 576 on 80 mm.
"""

import unicodedata
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import assert_never

from PIL import Image, ImageDraw, ImageFont

from vafa.model.errors import ReceiptFault
from vafa.receipt import selfcheck
from vafa.receipt.bitmap import Bitmap, from_matrix, stacked
from vafa.receipt.numerals import BREAK, FSI, LRI, PDI
from vafa.receipt.page import Code, Logo, Page, Rule, Style, Text

WIDTHS_PX = (384, 576)
MARGIN_PX = 4  # heads lose their outermost dots first
CODE_DOTS_MAX = 200  # a code larger than this is paper wasted: telephones read 4 dots a module

_FACES = {"regular": "Vazirmatn-Regular.ttf", "bold": "Vazirmatn-Bold.ttf"}
# style: (face, size, height of a line) on the narrow paper; the wide one is WIDER times as large
_SET: dict[Style, tuple[str, int, int]] = {
    Style.TITLE: ("bold", 30, 44),
    Style.STRONG: ("bold", 32, 46),
    Style.BODY: ("regular", 25, 36),
    Style.CODE: ("bold", 36, 52),
    Style.SMALL: ("regular", 21, 30),
}
_CENTRED = (Style.TITLE, Style.CODE)
_TIGHTENED = (Style.TITLE, Style.STRONG, Style.CODE)  # a little smaller, where that saves them a second line
_TIGHTER = (7, 8)
_WIDER = (5, 4)


class Typesetter:
    """Draws pages for one paper width. Loading costs some 30 ms and 9 MB: made once, when first used."""

    def __init__(self, width_px: int) -> None:
        """ReceiptFault when this machine cannot set Persian type."""
        self.width_px = width_px
        up, down = _WIDER if width_px > WIDTHS_PX[0] else (1, 1)
        self._fonts: dict[Style, ImageFont.FreeTypeFont] = {}
        self._tighter: dict[Style, ImageFont.FreeTypeFont] = {}
        self._heights: dict[Style, int] = {}
        for style, (face, size, height) in _SET.items():
            self._fonts[style] = _font(face, size * up // down)
            self._heights[style] = height * up // down
            if style in _TIGHTENED:
                self._tighter[style] = _font(face, size * up * _TIGHTER[0] // (down * _TIGHTER[1]))
        _refuse_unjoined()

    def draw(self, page: Page) -> Bitmap:
        """The page, without white rows above and below; height 0 when it has no blocks."""
        return stacked(self.pieces(page, native_codes=False), self.width_px)

    def pieces(self, page: Page, *, native_codes: bool) -> Iterator[Bitmap]:
        """The page's blocks as pictures, from top to bottom; without codes for a printer that draws them."""
        for block in page.blocks:
            match block:
                case Text():
                    yield self._lines(block, page.lang)
                case Code(text):
                    if not native_codes:
                        yield code_picture(text, self.width_px)
                case Logo(file):
                    yield _middle(logo(Path(file), self.width_px), self.width_px)
                case Rule():
                    yield _rule(self.width_px)
                case _:
                    assert_never(block)

    def _lines(self, block: Text, lang: str) -> Bitmap:
        """One line of a slip, wrapped to as many lines as it needs."""
        height = self._heights[block.style]
        direction = _direction(block.text, lang)
        font, wrapped = self._placed(block, lang)
        image = Image.new("1", (self.width_px, height * len(wrapped)), 1)
        draw = ImageDraw.Draw(image)
        for at, line in enumerate(wrapped):
            if block.style in _CENTRED:
                x, anchor = self.width_px // 2, "mm"
            elif direction == "rtl":
                x, anchor = self.width_px - MARGIN_PX, "rm"
            else:
                x, anchor = MARGIN_PX, "lm"
            middle = at * height + height // 2
            draw.text((x, middle), line, font=font, fill=0, anchor=anchor, direction=direction, language=lang)
        return _bitmap(image)

    def wrap(self, block: Text, lang: str) -> list[str]:
        """The block's text in lines that fit: cut at BREAK if it must be, then at blanks, then anywhere.

        What stands in isolates (a number, a phone) is kept whole as long as it fits on a line of its own.
        """
        return self._placed(block, lang)[1]

    def _placed(self, block: Text, lang: str) -> tuple[ImageFont.FreeTypeFont, list[str]]:
        """The lines and their font: the style's, or the tighter one where all fits on one line in it."""
        whole = block.text.replace(BREAK, " ")
        font, room = self._fonts[block.style], self.width_px - 2 * MARGIN_PX
        for each in (font, self._tighter.get(block.style)):
            if each is not None and _length(whole, each, lang) <= room:
                return each, [whole]
        parts = block.text.split(BREAK)
        if len(parts) > 1 and all(_length(part, font, lang) <= room for part in parts):
            return font, _filled(parts, font, lang, room)
        words = [word for part in parts for word in _words(part)]
        return font, _evened(words, font, lang, room)


def code_picture(text: str, width_px: int) -> Bitmap:
    """A QR code with its quiet zone, for printers without the command. ValueError: it is too wide."""
    import segno

    matrix = tuple(tuple(row) for row in segno.make_qr(text, error="m").matrix_iter(border=4))
    scale = max(3, min(CODE_DOTS_MAX, width_px) // len(matrix))
    return from_matrix(matrix, scale, width_px)


def png(bitmap: Bitmap) -> bytes:
    """The picture as a PNG file, black on white, one bit a dot."""
    from io import BytesIO

    out = BytesIO()
    _image(bitmap).save(out, "PNG", optimize=True)
    return out.getvalue()


def logo(file: Path, width_px: int) -> Bitmap:
    """The merchant's picture file as dots, not wider than the paper. ReceiptFault when it is no picture."""
    from PIL import UnidentifiedImageError

    try:
        with Image.open(file, formats=("PNG", "GIF", "BMP", "JPEG")) as opened:
            opened.draft("L", (width_px, width_px))
            if opened.width * opened.height > _LOGO_DOTS_MAX:
                raise ReceiptFault(
                    f"the logo has {opened.width} x {opened.height} dots; 4 million are enough",
                    code="PRN-012",
                )
            flat = Image.new("RGBA", opened.size, "white")
            flat.alpha_composite(opened.convert("RGBA"))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as fault:
        raise ReceiptFault(
            f"{file} is no PNG, GIF, BMP or JPEG picture that can be read",
            fix="check receipt.logo",
            code="PRN-012",
        ) from fault
    grey = flat.convert("L")
    if grey.width > width_px:
        grey = grey.resize((width_px, max(1, grey.height * width_px // grey.width)), Image.Resampling.LANCZOS)
    return _bitmap(grey.convert("1"))


_LOGO_DOTS_MAX = 4_000_000


def known_line() -> Bitmap:
    """The self-check's line as this machine draws it."""
    image = Image.new("1", (selfcheck.WIDTH_PX, selfcheck.HEIGHT_PX), 1)
    ImageDraw.Draw(image).text(
        (selfcheck.WIDTH_PX - 2, selfcheck.HEIGHT_PX // 2),
        selfcheck.LINE,
        font=_font("regular", selfcheck.SIZE_PX),
        fill=0,
        anchor="rm",
        direction="rtl",
        language="fa",
    )
    return _bitmap(image)


def _font(face: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A weight of Vazirmatn by raqm; the file is in the package, so that no machine's fonts matter."""
    with resources.as_file(resources.files("vafa.receipt") / "fonts" / _FACES[face]) as path:
        return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.RAQM)


_NO_FRIBIDI = (
    "this machine cannot set Persian type: letters would print unjoined and from the left; FriBidi is missing"
)
_FIX = "sudo apt install libfribidi0"


def _refuse_unjoined() -> None:
    """ReceiptFault unless the known line comes out as it should."""
    try:
        drawn = known_line()
    except (
        KeyError,
        ImportError,
        OSError,
    ) as fault:  # Pillow without raqm refuses `direction` with a KeyError
        raise ReceiptFault(_NO_FRIBIDI, fix=_FIX) from fault
    if not selfcheck.agrees(drawn):
        raise ReceiptFault(_NO_FRIBIDI, fix=_FIX)


def _direction(text: str, lang: str) -> str:
    """A line runs as its language does, but one that is all of the other script runs as that one does."""
    strong = {unicodedata.bidirectional(c) for c in text} & {"L", "R", "AL"}
    if lang == "fa":
        return "ltr" if strong == {"L"} else "rtl"
    return "rtl" if strong and "L" not in strong else "ltr"


def _length(text: str, font: ImageFont.FreeTypeFont, lang: str) -> float:
    return font.getlength(text, direction=_direction(text, lang), language=lang)


def _filled(pieces: list[str], font: ImageFont.FreeTypeFont, lang: str, room: int) -> list[str]:
    """The pieces one after another, on a new line where one does not fit any more."""
    lines = [""]
    for piece in pieces:
        longer = f"{lines[-1]} {piece}" if lines[-1] else piece
        if _length(longer, font, lang) <= room:
            lines[-1] = longer
        else:
            lines += _cut(piece, font, lang, room)
    return [line for line in lines if line]


def _evened(pieces: list[str], font: ImageFont.FreeTypeFont, lang: str, room: int) -> list[str]:
    """As `_filled`, and of nearly equal length: a last word alone on its line looks like a mistake."""
    lines = _filled(pieces, font, lang, room)
    if any(_length(piece, font, lang) > room for piece in pieces):
        return lines
    widest = max(_length(piece, font, lang) for piece in pieces)
    narrow, wide = int(widest) + 1, room
    while wide - narrow > _EVEN_PX:
        middle = (narrow + wide) // 2
        tried = _filled(pieces, font, lang, middle)
        if len(tried) == len(lines):
            lines, wide = tried, middle
        else:
            narrow = middle
    return lines


_EVEN_PX = 8


def _cut(word: str, font: ImageFont.FreeTypeFont, lang: str, room: int) -> list[str]:
    """A word or isolate longer than a line, in pieces that fit: at a blank inside it, else anywhere."""
    if _length(word, font, lang) <= room:
        return [word]
    opened, closed = (word[0], PDI) if word[0] in (LRI, FSI) else ("", "")
    word = word.strip(LRI + FSI + PDI)
    pieces: list[str] = []
    while word:
        fitting = (
            n for n in range(len(word), 1, -1) if _length(opened + word[:n] + closed, font, lang) <= room
        )
        length = next(fitting, 1)
        if length < len(word) and (blank := word.rfind(" ", 0, length + 1)) > 0:
            length = blank
        pieces.append(opened + word[:length] + closed)
        word = word[length:].lstrip(" ")
    return pieces


def _words(text: str) -> list[str]:
    """Cut at blanks outside isolates."""
    words, depth, word = [], 0, ""
    for c in text:
        depth += (c in (LRI, FSI)) - (c == PDI)
        if c == " " and depth <= 0:
            words += [word] if word else []
            word = ""
        else:
            word += c
    return [*words, word] if word else words


def _bitmap(image: Image.Image) -> Bitmap:
    """Pillow's "1" has white as a set bit; a printer's black is one."""
    data = image.tobytes("raw", "1;I")
    return Bitmap(image.width, image.height, data)


def _image(bitmap: Bitmap) -> Image.Image:
    return Image.frombytes("1", (bitmap.width, bitmap.height), bitmap.rows, "raw", "1;I")


def _middle(bitmap: Bitmap, width_px: int) -> Bitmap:
    image = Image.new("1", (width_px, bitmap.height), 1)
    image.paste(_image(bitmap), ((width_px - bitmap.width) // 2, 0))
    return _bitmap(image)


def _rule(width_px: int) -> Bitmap:
    image = Image.new("1", (width_px, 10), 1)
    ImageDraw.Draw(image).line((MARGIN_PX, 4, width_px - MARGIN_PX - 1, 4), fill=0, width=2)
    return _bitmap(image)
