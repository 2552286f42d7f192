"""Code pages whose bytes are glyphs: letters joined here, by us, because the printer cannot.

Most letters have one glyph for "another letter of the word follows" and one for "none does". A line goes to
the printer in visual order, from its left end, so a Persian line is sent from its end; numbers and Latin
words inside it keep their own order. The tables are in `iransystem` and `cp1098`.

Choices where Unicode has more than a code page:
* Arabic-Indic digits become Persian; ي ى become ی, ك becomes ک, other Arabic letters their Persian nearest,
  unless the page has them; vowel marks and invisible characters are dropped, but a zero-width non-joiner
  still keeps its neighbours apart;
* typographic signs become ASCII ones (• is *), and what is left has no glyph: `?`.
"""

import re

from msgspec import Struct

ZWNJ = "\u200c"
JOINS_NOTHING_AFTER = frozenset("آأادذرزژوؤء")

NEAREST = str.maketrans(
    {
        "ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "ۀ": "ه", "أ": "ا", "إ": "ا", "ٱ": "ا", "ؤ": "و",
        "٪": "%", "٫": ".", "«": '"', "»": '"', "“": '"', "”": '"', "‘": "'", "’": "'",
        "؛": ";", "•": "*", "×": "x",
        "–": "-", "—": "-", "−": "-", "…": "...",
    }
    | {digit: chr(0x06F0 + i) for i, digit in enumerate("٠١٢٣٤٥٦٧٨٩")}
)  # fmt: skip
_UNSEEN = re.compile("[٬\u064b-\u065f\u0670\u200b\u200d-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_PERSIAN_LETTER = re.compile("[ء-يپچژکگی،؟]")
# What keeps its own order inside a Persian line: numbers with their signs and separators, Latin words.
LEFT_TO_RIGHT = re.compile(r"[-+]?[0-9۰-۹]+(?:[/:.,*+-]+[0-9۰-۹]+)*%?|[A-Za-z](?:[ -~۰-۹]*[A-Za-z0-9۰-۹])?")
MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


class GlyphPage(Struct, frozen=True):
    """A code page. `letters`: joined to (nothing, before, after, both); `lam_alef` where لا is one glyph."""

    letters: dict[str, tuple[int, int, int, int]]
    signs: dict[str, int]
    lam_alef: int | None = None

    def shaped(self, part: str) -> bytes:
        """Each character's glyph, in the order of the text. Only letters beside each other join."""
        out = bytearray()
        for i, c in enumerate(part):
            before, after = part[i - 1 : i], part[i + 1 : i + 2]
            if self.lam_alef is not None and c + after == "لا":
                out.append(self.lam_alef)
            elif self.lam_alef is not None and before + c == "لا":
                continue  # printed with the lam
            elif c in self.letters:
                out.append(self.letters[c][self._joins(before, c) + 2 * self._joins(c, after)])
            elif c != ZWNJ:
                out.append(self.signs[c] if c in self.signs else ord(c) if " " <= c <= "~" else ord("?"))
        return bytes(out)

    def known(self, line: str) -> str:
        """The line in characters this page has, or their nearest; what prints nothing is left out."""
        mapped = (c if c in self.letters or c in self.signs else c.translate(NEAREST) for c in line)
        return _UNSEEN.sub("", "".join(mapped))

    def _joins(self, letter: str, after: str) -> bool:
        known = letter in self.letters and after in self.letters
        return known and letter not in JOINS_NOTHING_AFTER and after != "ء"


def logical(line: str, page: GlyphPage) -> bytes:
    """One line joined, in reading order: for a printer that turns lines round itself."""
    return page.shaped(page.known(line))


def visual(line: str, page: GlyphPage) -> bytes:
    """One line joined, in the order of the paper. A line without Persian letters is taken as it stands."""
    line = page.known(line)
    if not _PERSIAN_LETTER.search(line):
        return page.shaped(line)
    out = b""
    end = 0
    for run in LEFT_TO_RIGHT.finditer(line):
        out = page.shaped(run.group()) + _flipped(line[end : run.start()], page) + out
        end = run.end()
    return _flipped(line[end:], page) + out


def _flipped(part: str, page: GlyphPage) -> bytes:
    return page.shaped(part.translate(MIRRORED))[::-1]
