"""A pretend printer's roll of paper: what stands on it, as a picture and as text."""

import io
import re
import unicodedata
from importlib import resources
from typing import TYPE_CHECKING

from vafa.simulators import iran_system

if TYPE_CHECKING:
    from PIL import Image

TEXT_ROWS = 32
_MARGIN = 12

# Iran System's upper half as the shapes it prints; between them code page 437's frames.
_IRAN_SYSTEM = (
    "۰۱۲۳۴۵۶۷۸۹،ـ؟ﺁﺋﺀ"
    "ﺍﺎﺏﺑﭖﭘﺕﺗﺙﺛﺝﺟﭺﭼﺡﺣ"
    "ﺥﺧﺩﺫﺭﺯﮊﺱﺳﺵﺷﺹﺻﺽﺿﻁ" + bytes(range(0xB0, 0xE0)).decode("cp437") + "ﻅﻉﻊﻌﻋﻍﻎﻐﻏﻑﻓﻕﻗﮎﻛﮒ"
    "ﮔﻝﻻﻟﻡﻣﻥﻧﻭﻩﻬﻫﯽﯼﯾ\u00a0"
)
# The upper half of code page 1098 as ICU has it; the three private characters and two holes are blanks.
_CP1098 = (
    "  ،؛؟ًﺁﺂ ﺍﺎ ﺀﺃﺄ "
    "ﺅﺋﺏﺑﭖﭘﺕﺗﺙﺛﺝﺟﭺﭼ×ﺡ"
    "ﺣﺥﺧﺩﺫﺭﺯﮊﺱﺳﺵﺷﺹﺻ«»"
    "░▒▓│┤ﺽﺿﻁﻃ╣║╗╝¤ﻅ┐"
    "└┴┬├─┼ﻇﻉ╚╔╩╦╠═╬ "
    "ﻊﻋﻌﻍﻎﻏﻐﻑﻓ┘┌█▄ﻕﻗ▀"
    "ﮎﻛﮒﮔﻝﻟﻡﻣﻥﻧﻭﻩﻫﻬﮤﯼ"
    "\u00adﯽﯾـ۰۱۲۳۴۵۶۷۸۹■\u00a0"
)


# What keeps its order from left to right: numbers with their separators, Latin words.
_KEPT = re.compile(r"([0-9۰-۹]+(?:[/:.,-][0-9۰-۹]+)*|[A-Za-z][!-~]*(?: [A-Za-z0-9][!-~]*)*)")


class Roll:
    """`width_px` dots wide. `lines`: what is readable on it; `bytes_of_dots`: what its pictures took."""

    def __init__(self, width_px: int, code_page: str) -> None:
        self.width_px = width_px
        self._code_page = code_page
        self._pictures: list[Image.Image] = []
        self.lines: list[str] = []
        self.bytes_of_dots = 0

    def dots(self, width_bytes: int, height: int, data: bytes) -> None:
        """A picture, from the left edge; what is wider than the paper is lost."""
        from PIL import Image

        picture = Image.frombytes("1", (width_bytes * 8, height), data, "raw", "1;I")
        strip = Image.new("1", (self.width_px, height), 1)
        strip.paste(picture, (0, 0))
        self._pictures.append(strip)
        self.bytes_of_dots += len(data)
        self.lines.append(f"[dots {width_bytes * 8}x{height}]")

    def feed(self, rows: int) -> None:
        """White paper."""
        from PIL import Image

        if rows:
            self._pictures.append(Image.new("1", (self.width_px, rows), 1))

    def symbol(self, data: bytes, module_dots: int) -> None:
        """A QR code the printer draws itself, in the middle."""
        import segno
        from PIL import Image

        out = io.BytesIO()
        segno.make_qr(data, error="m").save(out, kind="png", scale=module_dots, border=4)
        code = Image.open(out).convert("1")
        strip = Image.new("1", (self.width_px, code.height), 1)
        strip.paste(code, ((self.width_px - code.width) // 2, 0))
        self._pictures.append(strip)
        self.lines.append(f"[code {data.decode(errors='replace')}]")

    def text(self, data: bytes) -> None:
        """A line of the printer's own letters."""
        from PIL import Image, ImageDraw, ImageFont

        line = read_text(data, self._code_page)
        self.lines.append(line)
        shapes = {"iransystem": _IRAN_SYSTEM, "cp1098": _CP1098}.get(self._code_page)
        shown = seen(data, shapes) if shapes else line
        shown = "".join(c if c.isprintable() or c == iran_system.ZWNJ else " " for c in shown)
        # Shapes stand in their places already; a printer that joins by itself is drawn joined.
        layout = ImageFont.Layout.BASIC if shapes else ImageFont.Layout.RAQM
        file = resources.files("vafa.receipt") / "fonts" / "Vazirmatn-Regular.ttf"
        with resources.as_file(file) as path:
            font = ImageFont.truetype(str(path), 22, layout_engine=layout)
        strip = Image.new("1", (self.width_px, TEXT_ROWS), 1)
        persian = any(unicodedata.bidirectional(c) in ("R", "AL") for c in line)
        x, anchor = (self.width_px - 2, "rm") if persian else (2, "lm")
        direction = None if shapes else "rtl" if persian else "ltr"
        ImageDraw.Draw(strip).text(
            (x, TEXT_ROWS // 2), shown, font=font, fill=0, anchor=anchor, direction=direction
        )
        self._pictures.append(strip)

    @property
    def empty(self) -> bool:
        """Nothing but white since the last cut."""
        return not self.lines

    def png(self) -> bytes:
        """The paper with a margin, as a PNG file."""
        from PIL import Image

        height = sum(each.height for each in self._pictures)
        paper = Image.new("L", (self.width_px + 2 * _MARGIN, height + 2 * _MARGIN), 255)
        y = _MARGIN
        for each in self._pictures:
            paper.paste(each, (_MARGIN, y))
            y += each.height
        out = io.BytesIO()
        paper.save(out, "PNG", optimize=True)
        return out.getvalue()


def read_text(data: bytes, code_page: str) -> str:
    """A printed line in reading order, without the blanks that put it in its place."""
    if code_page == "windows-1256":
        return data.decode("cp1256", "replace").strip()
    if code_page == "cp1098":
        return _turned(seen(data, _CP1098))
    return iran_system.decode(data).strip()


def seen(data: bytes, shapes: str) -> str:
    """What stands on the paper, from its left edge; without the blanks that put it in its place."""
    return "".join(chr(b) if b < 0x80 else shapes[b - 0x80] for b in data).strip()


def _turned(visual: str) -> str:
    """A line as the eye meets it from the left, in reading order; shapes become letters."""
    if not any(unicodedata.bidirectional(c) in ("R", "AL") for c in visual):
        return visual
    mirrored = str.maketrans("()[]<>«»", ")(][><»«")
    pieces = [
        piece if index % 2 else piece[::-1].translate(mirrored)
        for index, piece in enumerate(_KEPT.split(visual))
    ]
    return unicodedata.normalize("NFKC", "".join(reversed(pieces)))
