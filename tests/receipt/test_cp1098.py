"""Code page 1098: every letter's bytes as ICU has them, letter by letter."""

import shutil
import subprocess
import unicodedata

import pytest

from vafa.receipt.cp1098 import GLYPHS, PAGE, SIGNS
from vafa.receipt.glyphs import JOINS_NOTHING_AFTER, logical, visual

FORMS = ("isolated", "final", "initial", "medial")
needs_icu = pytest.mark.skipif(
    shutil.which("uconv") is None, reason="uconv (Debian: icu-devtools) is the oracle"
)


def by_icu(codes: bytes) -> str:
    return subprocess.run(
        ["uconv", "-f", "ibm-1098", "-t", "utf-8"], input=codes, capture_output=True, check=True
    ).stdout.decode()


@needs_icu
@pytest.mark.parametrize("letter", GLYPHS)
def test_every_glyph_is_a_form_of_its_letter_as_icu_has_it(letter: str) -> None:
    for glyph, form in zip(by_icu(bytes(GLYPHS[letter])), FORMS, strict=True):
        base = unicodedata.normalize("NFKC", glyph)
        assert {"ك": "ک", "ي": "ی", "ۀ": "ۀ"}.get(base, base) == unicodedata.normalize("NFKC", letter)
        shown = unicodedata.decomposition(glyph).split(" ")[0].strip("<>")
        joins = shown in ("initial", "medial")
        if letter not in JOINS_NOTHING_AFTER | {"ئ", "ۀ", "ـ"}:
            assert joins == (form in ("initial", "medial")), "a letter follows, or none does"


@needs_icu
def test_every_sign_is_icus() -> None:
    signs = [sign for sign in SIGNS if sign != "\u00a0"]
    assert by_icu(bytes(SIGNS[sign] for sign in signs)) == "".join(signs)


@needs_icu
def test_each_letter_and_digit_icu_has_can_be_printed() -> None:
    used = {code for codes in GLYPHS.values() for code in codes} | set(SIGNS.values())
    missing = []
    for code in sorted(set(range(0x82, 0x100)) - {0x88, 0x8B, 0x8F, 0xCF} - used):
        name = unicodedata.name(by_icu(bytes((code,))), "")
        if name.startswith(("ARABIC", "EXTENDED")):
            missing.append(name)
    assert missing == ["ARABIC FATHATAN"]


@pytest.mark.parametrize(
    ("line", "on_paper"),
    [
        ("سلام", "e6 8a e5 a9"),  # lam and alef stay two
        ("۱۲۵ امتیاز", "a6 8a f2 97 e7 89 20 f5 f6 f9"),  # the number keeps its order, at the right
        ("می‌خواهم", "e6 ec 89 ea a2 f1 e7"),
        ("(باشگاه)", "28 eb 8a e3 ab 8a 93 29"),
        ("Kafe 12", "4b 61 66 65 20 31 32"),
    ],
)
def test_a_line_is_sent_as_it_looks(line: str, on_paper: str) -> None:
    assert visual(line, PAGE).hex(" ") == on_paper


def test_logical_order_is_the_same_glyphs_from_the_other_end() -> None:
    assert logical("سلام", PAGE) == visual("سلام", PAGE)[::-1]
