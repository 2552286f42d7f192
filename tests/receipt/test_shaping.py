"""The raster's letters, judged by a second way to shape them: HarfBuzz driven directly, outlines filled here.

Pillow's raqm shapes and orders inside one call. Here each line's runs are written down in the order they must
have from the left, uharfbuzz picks the glyphs and their places, and the two pictures must be one: a letter of
another form, or in another place, puts its ink elsewhere.
"""

import unicodedata
from importlib import resources

import pytest
import uharfbuzz
from PIL import Image, ImageChops, ImageDraw, ImageFont

SIZE = 200  # large, so that a dot at an edge is little
HEIGHT = 360
LINES = [  # logical text; its visual runs from the left: (text, is right to left)
    ("باشگاه مشتریان کافه نگین", [("باشگاه مشتریان کافه نگین", True)]),
    ("امتیاز این خرید: ۱۲۵", [("۱۲۵", False), ("امتیاز این خرید: ", True)]),
    ("مانده امتیاز: ۱٬۲۴۰", [("۱٬۲۴۰", False), ("مانده امتیاز: ", True)]),
    ("تلفن: \u2066021-88776655\u2069", [("021-88776655", False), ("تلفن: ", True)]),
    ("می\u200cخواهم", [("می\u200cخواهم", True)]),
    ("(هدیه: یک قهوه)", [("(هدیه: یک قهوه)", True)]),
    ("برداشت \u2066-۱۲۵\u2069 امتیاز", [(" امتیاز", True), ("-۱۲۵", False), ("برداشت ", True)]),
    ("باشگاه \u2068Kafe Negin\u2069", [("Kafe Negin", False), ("باشگاه ", True)]),
    ("کارت \u20666037••••1234\u2069", [("6037••••1234", False), ("کارت ", True)]),
]


class Outlines:
    """Draws glyphs by number, their outlines as polygons."""

    def __init__(self, font_file: bytes) -> None:
        self._font = uharfbuzz.Font(uharfbuzz.Face(font_file))
        self._scale = SIZE / self._font.face.upem
        self._contours: list[list[tuple[float, float]]] = []
        self._pen = uharfbuzz.DrawFuncs()
        self._pen.set_move_to_func(lambda x, y, _: self._contours.append([(x, y)]))
        self._pen.set_line_to_func(lambda x, y, _: self._contours[-1].append((x, y)))
        self._pen.set_quadratic_to_func(self._quadratic)
        self._pen.set_close_path_func(lambda _: None)

    def picture(self, runs: list[tuple[str, bool]]) -> Image.Image:
        """The runs beside one another, black on white, as wide as they are."""
        placed: list[tuple[int, float, float]] = []
        at = 0.0
        for run, right_to_left in runs:
            for info, place in self._shaped(run, "rtl" if right_to_left else "ltr"):
                placed.append((info.codepoint, at + place.x_offset, place.y_offset))
                at += place.x_advance
        page = Image.new("1", (round(at * self._scale) + 40, HEIGHT), 0)
        for glyph, x, y in placed:
            page = ImageChops.logical_or(page, self._glyph(glyph, x, y, page.size))
        return page

    def _shaped(self, run: str, direction: str) -> list[tuple[uharfbuzz.GlyphInfo, uharfbuzz.GlyphPosition]]:
        buffer = uharfbuzz.Buffer()
        buffer.add_str(run)
        buffer.direction, buffer.language = direction, "fa"
        persian = any(unicodedata.bidirectional(c) in ("AL", "EN") and ord(c) > 0x5FF for c in run)
        buffer.script = "arab" if persian else "latn"
        uharfbuzz.shape(self._font, buffer)
        return list(zip(buffer.glyph_infos, buffer.glyph_positions, strict=True))

    def _glyph(self, glyph: int, x: float, y: float, size: tuple[int, int]) -> Image.Image:
        self._contours = []
        self._font.draw_glyph(glyph, self._pen)
        ink = Image.new("1", size, 0)
        for contour in self._contours:  # a contour inside another one is a hole
            layer = Image.new("1", size, 0)
            points = [
                (20 + (x + px) * self._scale, HEIGHT * 0.6 - (y + py) * self._scale) for px, py in contour
            ]
            ImageDraw.Draw(layer).polygon(points, fill=1)
            ink = ImageChops.logical_xor(ink, layer)
        return ink

    def _quadratic(self, cx: float, cy: float, x: float, y: float, _: object) -> None:
        x0, y0 = self._contours[-1][-1]
        for step in range(1, 9):
            t = step / 8
            a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t * t
            self._contours[-1].append((a * x0 + b * cx + c * x, a * y0 + b * cy + c * y))


def ours(line: str, width: int) -> Image.Image:
    """The line as the raster has it set: by raqm, from the right."""
    with resources.as_file(resources.files("vafa.receipt") / "fonts" / "Vazirmatn-Regular.ttf") as path:
        font = ImageFont.truetype(str(path), SIZE, layout_engine=ImageFont.Layout.RAQM)
    page = Image.new("1", (width, HEIGHT), 0)
    ImageDraw.Draw(page).text(
        (20, HEIGHT * 0.6), line, font=font, fill=1, anchor="ls", direction="rtl", language="fa"
    )
    return page


def differing(one: Image.Image, other: Image.Image) -> float:
    """The share of ink that is not in both."""
    both = ImageChops.logical_and(one, other).convert("L").histogram()[255]
    either = ImageChops.logical_or(one, other).convert("L").histogram()[255]
    return 1 - both / either


@pytest.fixture(scope="module")
def outlines() -> Outlines:
    return Outlines((resources.files("vafa.receipt") / "fonts" / "Vazirmatn-Regular.ttf").read_bytes())


@pytest.mark.parametrize(("line", "runs"), LINES)
def test_every_glyph_is_the_one_and_where_a_second_shaper_puts_it(
    line: str, runs: list[tuple[str, bool]], outlines: Outlines
) -> None:
    expected = outlines.picture(runs)
    assert differing(ours(line, expected.width), expected) < 0.1, "edges differ by a dot, a letter by its ink"


def test_the_comparison_sees_a_number_at_the_wrong_end(outlines: Outlines) -> None:
    wrong = outlines.picture([("88776655-021", False), ("تلفن: ", True)])
    assert differing(ours("تلفن: \u2066021-88776655\u2069", wrong.width), wrong) > 0.3


def test_the_comparison_sees_letters_that_do_not_join(outlines: Outlines) -> None:
    wrong = outlines.picture([("ک", True), ("ا", True), ("ف", True), ("ه", True)][::-1])
    assert differing(ours("کافه", wrong.width), wrong) > 0.3
