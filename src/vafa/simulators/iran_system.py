"""Reads Iran System bytes, as a Sadad terminal's printer would, back into text a person can read.

The code page holds the *shape* of each letter, in the order the eye meets them from the left. So reading is:
turn each line round, leave numbers and Latin words as they stand, and name the letter behind each shape.
The table is the public one (Wikipedia: Iran System encoding). The encoder in `receipt/` is somebody else's.
"""

import re

ZWNJ = "\u200c"
LINE_BREAK = b","  # the terminal starts a new line at each comma

# 80h-AFh and E0h-FFh; B0h-DFh are code page 437's frames. "ﻻ" is one shape for two letters.
_SHAPES = {
    0x80: list("۰۱۲۳۴۵۶۷۸۹،ـ؟آئء"),
    0x90: list("ااببپپتتثثججچچحح"),
    0xA0: list("خخدذرزژسسششصصضضط"),
    0xE0: ["ظ", *"ععععغغغغففققککگ"],
    0xF0: ["گ", "ل", "لا", *"لممننوهههییی", "\u00a0"],
}
_CHARACTERS = bytes(range(256)).decode("cp437")
_FRAMES = {code: _CHARACTERS[code] for code in range(0xB0, 0xE0)}
_LETTER = {first + n: text for first, row in _SHAPES.items() for n, text in enumerate(row)} | _FRAMES

# Shapes that end a letter which could have joined on: a letter right behind one means a break was meant.
_ENDING = frozenset(
    b"\x92\x94\x96\x98\x9a\x9c\x9e\xa0\xa7\xa9\xab\xad"
    b"\xe1\xe2\xe5\xe6\xe9\xeb\xed\xef\xf1\xf4\xf6\xf9\xfc\xfd"
)
_RIGHT_TO_LEFT = frozenset([*range(0x8D, 0xB0), *range(0xE0, 0xFF)])

# What keeps its order from left to right: numbers with their separators, Latin words with blanks between.
_DIGIT = rb"[0-9\x80-\x89]"
_NUMBER = _DIGIT + rb"+(?:[/:.,-]" + _DIGIT + rb"+)*"
_LATIN_WORD = rb"[A-Za-z0-9][!-'*-Z_a-z]*"
_LATIN = rb"[A-Za-z][!-'*-Z_a-z]*(?: +" + _LATIN_WORD + rb")*(?<![.,:;!?-])"
_KEPT = re.compile(b"(" + _LATIN + b"|" + _NUMBER + b")")
_MIRRORED = bytes.maketrans(b"()[]{}<>", b")(][}{><")


def decode_lines(data: bytes) -> list[str]:
    """The lines of an Opt6 field, in reading order, without empty ones at the end."""
    lines = [decode(line) for line in data.rstrip(b"\0 ,").split(LINE_BREAK)]
    return lines if any(lines) else []


def decode(line: bytes) -> str:
    """One line of Iran System bytes as logical text. Every byte has a meaning; nothing raises."""
    if not _RIGHT_TO_LEFT.intersection(line):
        return _letters(line)
    turned = [
        piece if index % 2 else piece[::-1].translate(_MIRRORED)
        for index, piece in enumerate(_KEPT.split(line))
    ]
    return _letters(b"".join(reversed(turned)))


def _letters(logical: bytes) -> str:
    """Names the letters of bytes already in reading order."""
    text = []
    for index, code in enumerate(logical):
        text.append(_LETTER.get(code) or chr(code))
        follows = logical[index + 1] if index + 1 < len(logical) else 0
        if code in _ENDING and follows in _RIGHT_TO_LEFT:
            text.append(ZWNJ)
    return "".join(text)
