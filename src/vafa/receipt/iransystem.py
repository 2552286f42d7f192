"""Iran System, the code page of Iran's DOS years, which Sadad's terminals print (Opt6).

A byte is a *glyph*: most letters have one for "another letter of the word follows" and one for "none does";
ain, ghain, heh and yeh have more. Bytes stand in visual order, left to right as they appear on paper, so a
Persian line is stored from its end; numbers and Latin words inside it keep their own order.

Table: the published code page (Wikipedia "Iran System encoding", rows 8 to F). Whether every terminal's
firmware agrees is unproven on hardware; Opt6 is opaque bytes to everything but this file. A yeh that ends a
word after a letter that does not join (برای) is the unjoined glyph FDh, as its shape says; some programs of
the time wrote FCh there.

Latin digits stay Latin (30h-39h) and Persian digits Persian (80h-89h); shaping and order are `glyphs`'.
"""

from collections.abc import Sequence
from functools import lru_cache

from vafa.receipt.glyphs import JOINS_NOTHING_AFTER, LEFT_TO_RIGHT, MIRRORED, ZWNJ, GlyphPage, visual

BYTES_MAX = 500
LINES_KEPT_MAX = 64  # the shop's name, and the points that most sales promise

# letter: (isolated, final, initial, medial), i.e. joined to (nothing, before, after, both)
GLYPHS: dict[str, tuple[int, int, int, int]] = {
    "آ": (0x8D,) * 4, "ء": (0x8F,) * 4, "ئ": (0x8E,) * 4,
    "ا": (0x90, 0x91, 0x90, 0x91),
    "د": (0xA2,) * 4, "ذ": (0xA3,) * 4, "ر": (0xA4,) * 4, "ز": (0xA5,) * 4, "ژ": (0xA6,) * 4,
    "ط": (0xAF,) * 4, "ظ": (0xE0,) * 4, "و": (0xF8,) * 4,
    "ع": (0xE1, 0xE2, 0xE4, 0xE3), "غ": (0xE5, 0xE6, 0xE8, 0xE7),
    "ه": (0xF9, 0xF9, 0xFB, 0xFA), "ی": (0xFD, 0xFC, 0xFE, 0xFE),
}  # fmt: skip
_TWO_GLYPHS = {  # first code: alone or last of its run; the next code: another letter follows
    "ب": 0x92, "پ": 0x94, "ت": 0x96, "ث": 0x98, "ج": 0x9A, "چ": 0x9C, "ح": 0x9E, "خ": 0xA0,
    "س": 0xA7, "ش": 0xA9, "ص": 0xAB, "ض": 0xAD, "ف": 0xE9, "ق": 0xEB, "ک": 0xED, "گ": 0xEF,
    "م": 0xF4, "ن": 0xF6,
}  # fmt: skip
GLYPHS |= {letter: (code, code, code + 1, code + 1) for letter, code in _TWO_GLYPHS.items()}
GLYPHS["ل"] = (0xF1, 0xF1, 0xF3, 0xF3)  # F2 between them is lam with alef
GLYPHS["ـ"] = (0x8B,) * 4
LAM_ALEF = 0xF2
SIGNS = {"،": 0x8A, "؟": 0x8C, "\u00a0": 0xFF} | {digit: 0x80 + i for i, digit in enumerate("۰۱۲۳۴۵۶۷۸۹")}
PAGE = GlyphPage(GLYPHS, SIGNS, LAM_ALEF)


def encode_lines(lines: Sequence[str], ranks: Sequence[int] = (), bytes_max: int = BYTES_MAX) -> bytes:
    """Lines joined by commas, whole lines left out until at most `bytes_max` bytes remain.

    The line of the highest rank goes first, of equals the last. Without ranks: the last. A comma inside a
    line would break it, so it becomes a blank.
    """
    encoded = [encode(line.replace(",", " ")) for line in lines]
    kept = sorted(range(len(encoded)), key=lambda i: (ranks[i] if ranks else 0, i))
    size = sum(len(line) + 1 for line in encoded) - 1
    while size > bytes_max:
        size -= len(encoded[kept.pop()]) + 1
    return b",".join(encoded[i] for i in sorted(kept))


@lru_cache(LINES_KEPT_MAX)
def encode(line: str) -> bytes:
    """One line in visual order. A line without Persian letters is taken as it stands.

    Shaping was the most that a sale cost its lane before it could ask the terminal, and of three lines two
    stood on an earlier sale's text as well.
    """
    return visual(line, PAGE)


def decode(data: bytes) -> str:
    """The text of one or several comma-separated lines, in reading order, lines parted by newlines.

    For `vafa decode`: a byte without a letter (box drawing, controls) is shown as `?`.
    """
    return "\n".join(_decoded(line) for line in data.split(b","))


_LETTERS = {code: letter for letter, codes in GLYPHS.items() for code in codes}
_CHARACTERS = _LETTERS | {LAM_ALEF: "لا"} | {code: sign for sign, code in SIGNS.items()}
_ENDS_A_RUN = frozenset(
    codes[form] for codes in GLYPHS.values() for form in (0, 1) if codes[0] not in codes[2:]
) - {code for letter in JOINS_NOTHING_AFTER & GLYPHS.keys() for code in GLYPHS[letter]}


_HAMZA = chr(0xE000 + 0x8F)  # joins nothing, so the letter before it closes without a non-joiner


def _decoded(line: bytes) -> str:
    """One line, reading order: everything flipped, then what runs left to right flipped back."""
    visual = "".join(
        chr(0xE000 + code) if code in _LETTERS or code == LAM_ALEF else _sign(code) for code in line
    )
    if not any(c >= "\ue000" for c in visual):
        return visual
    text, end = "", 0
    for run in LEFT_TO_RIGHT.finditer(visual):
        text = run.group() + _unflipped(visual[end : run.start()]) + text
        end = run.end()
    return _unflipped(visual[end:]) + text


def _unflipped(part: str) -> str:
    """Letters back from glyphs; a word that goes on after a closing glyph held a zero-width non-joiner."""
    out = []
    logical = part[::-1].translate(MIRRORED)
    for i, c in enumerate(logical):
        if c < "\ue000":
            out.append(c)
            continue
        code = ord(c) - 0xE000
        after = logical[i + 1 : i + 2]
        goes_on = code in _ENDS_A_RUN and after >= "\ue000" and after != _HAMZA
        out.append(_CHARACTERS[code] + (ZWNJ if goes_on else ""))
    return "".join(out)


def _sign(code: int) -> str:
    return _CHARACTERS[code] if code in _CHARACTERS else chr(code) if 0x20 <= code <= 0x7E else "?"
