"""The raster's order of characters, judged by Unicode's own test file.

Whether FriBidi knows the rules is one question, whether Pillow asks it rightly another. So the whole way is
tested: a font is made whose glyphs are bar codes of their code points, Pillow sets a line of the test with
it as the raster does, and the characters are read off the picture from the left.
"""

import random
import unicodedata
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw, ImageFont

CASES = Path("/usr/share/unicode/BidiCharacterTest.txt")
SAMPLE = 1500
BITS = 18  # a code point; one more bar, always black, starts each glyph
BAR = 10  # font units and dots: so wide that no hinting moves a bar out of its place
MIRRORED = dict(zip("()[]{}<>«»⟨⟩", ")(][}{><»«⟩⟨", strict=True))
needs_unicode = pytest.mark.skipif(not CASES.exists(), reason="Unicode's cases (Debian: unicode-data)")

Case = tuple[str, int, list[int | None], list[int]]


def cases() -> list[Case]:
    """(text, paragraph level, level of each character, their order from the left)."""
    found = []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        text, _, paragraph, levels, order = line.split(";")
        found.append(
            (
                "".join(chr(int(code, 16)) for code in text.split()),
                int(paragraph),
                [None if level == "x" else int(level) for level in levels.split()],
                [int(index) for index in order.split()],
            )
        )
    return found


def bar_code_font(characters: set[str], path: Path) -> None:
    """A font with a bar code for each character and nothing for what is never shown."""
    builder = FontBuilder(1000, isTTF=True)
    names = {c: f"u{ord(c):05X}" for c in sorted(characters)}
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(c): name for c, name in names.items()})
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for c, name in names.items():
        pen = TTGlyphPen(None)
        for bar, black in enumerate(f"1{ord(c):0{BITS}b}0"):
            if black == "1" and c != " ":  # HarfBuzz puts a blank in place of what has no ink
                left, right = bar * BAR + 2, (bar + 1) * BAR - 2
                pen.moveTo((left, 0))
                pen.lineTo((left, 500))
                pen.lineTo((right, 500))
                pen.lineTo((right, 0))
                pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], ((BITS + 2) * BAR, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Bars", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(str(path))


def read_off(text: str, paragraph: int, font: ImageFont.FreeTypeFont) -> str:
    """The characters of the line as drawn, from the left."""
    width = (BITS + 2) * len(text) * BAR
    page = Image.new("1", (width, 60), 0)
    direction = "rtl" if paragraph else "ltr"
    ImageDraw.Draw(page).text((0, 50), text, font=font, fill=1, anchor="ls", direction=direction)
    dots = [any(page.getpixel((x + dx, 30)) for dx in range(2, 8)) for x in range(0, width, BAR)]
    shown = []
    for at in range(0, len(dots), BITS + 2):
        if not dots[at]:
            shown.append(" ")
        else:
            shown.append(chr(int("".join(str(int(dot)) for dot in dots[at + 1 : at + 1 + BITS]), 2)))
    return "".join(shown).rstrip(" ")


def expected(case: Case) -> str:
    """What must stand there: Unicode's order, brackets mirrored where the level is odd."""
    text, _, levels, order = case
    line = "".join(
        MIRRORED.get(text[index], text[index]) if (levels[index] or 0) % 2 else text[index]
        for index in order
        if unicodedata.category(text[index]) != "Cf"  # isolates have a place and no ink
    )
    return line.rstrip(" ")


@needs_unicode
def test_a_line_stands_in_unicodes_order(tmp_path: Path) -> None:
    usable = [
        case
        for case in cases()
        # A separator ends a paragraph, a tab moves: neither is ever inside a printed line.
        if not set(case[0]) & set("\u2029\t\n\r\x1c\x1d\x1e\x1f\x85\x0b\x0c\x00") and len(case[0]) <= 24
    ]
    sample = random.Random(5).sample(usable, SAMPLE)  # noqa: S311 - the same cases each time
    bar_code_font({c for case in sample for c in case[0]} | set(MIRRORED), tmp_path / "bars.ttf")
    font = ImageFont.truetype(str(tmp_path / "bars.ttf"), 1000, layout_engine=ImageFont.Layout.RAQM)
    wrong = [(case, read) for case in sample if (read := read_off(case[0], case[1], font)) != expected(case)]
    assert not wrong[:3]
    assert sum(any(level for level in case[2]) for case in sample) > SAMPLE // 2, "lines that need turning"
