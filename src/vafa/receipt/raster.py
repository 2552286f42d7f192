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
_WIDER = (5, 4)


class Typesetter:
    """Draws pages for one paper width. Loading costs some 30 ms and 9 MB: made once, when first used."""

    def __init__(self, width_px: int) -> None:
        """ReceiptFault when this machine cannot set Persian type."""
        self.width_px = width_px
        up, down = _WIDER if width_px > WIDTHS_PX[0] else (1, 1)
        self._fonts: dict[Style, ImageFont.FreeTypeFont] = {}
        self._heights: dict[Style, int] = {}
        for style, (face, size, height) in _SET.items():
            self._fonts[style] = _font(face, size * up // down)
            self._heights[style] = height * up // down
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
        font, height = self._fonts[block.style], self._heights[block.style]
        direction = _direction(block.text, lang)
        wrapped = self.wrap(block, lang)
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
        whole = block.text.replace(BREAK, " ")
        if self._fits(whole, block.style, lang):
            return [whole]
        lines = [""]
        for part in block.text.split(BREAK):
            for piece in (part,) if self._fits(part, block.style, lang) else _words(part):
                longer = f"{lines[-1]} {piece}" if lines[-1] else piece
                if self._fits(longer, block.style, lang):
                    lines[-1] = longer
                else:
                    lines += self._cut(piece, block.style, lang)
        return [line for line in lines if line]

    def _fits(self, text: str, style: Style, lang: str) -> bool:
        direction = _direction(text, lang)
        room = self.width_px - 2 * MARGIN_PX
        return self._fonts[style].getlength(text, direction=direction, language=lang) <= room

    def _cut(self, word: str, style: Style, lang: str) -> list[str]:
        """A word or isolate longer than a line, in pieces that fit: at a blank inside it, else anywhere."""
        if self._fits(word, style, lang):
            return [word]
        opened, closed = (word[0], PDI) if word[0] in (LRI, FSI) else ("", "")
        word = word.strip(LRI + FSI + PDI)
        pieces: list[str] = []
        while word:
            fitting = (
                n for n in range(len(word), 1, -1) if self._fits(opened + word[:n] + closed, style, lang)
            )
            length = next(fitting, 1)
            if length < len(word) and (blank := word.rfind(" ", 0, length + 1)) > 0:
                length = blank
            pieces.append(opened + word[:length] + closed)
            word = word[length:].lstrip(" ")
        return pieces


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
