"""Texts that are mostly numbers counting up: references, traces, order ids, claim codes.

A text of digits travels as the step from the one before it, its length being that of the one before. Anything
else travels as a text, and is no trouble either.
"""

from collections.abc import Sequence

from vafa.model.errors import Malformed
from vafa.wire.columns import Reader, Writer, unzigzag, zigzag

_EMPTY, _STEP, _TEXT = 0, 1, 2
_DIGITS_MAX = 18
_TEXTS_MAX = 1_000


class NumberedTexts:
    """What the last text of digits was. `digits`: how long the first one is taken to be."""

    def __init__(self, digits: int) -> None:
        self._digits, self._number = digits, 0

    def step(self, text: str) -> int | None:
        """The step from the last number; None where the text is not one of the same length."""
        if not (len(text) == self._digits and text.isascii() and text.isdigit()):
            self._take(text)
            return None
        step = int(text) - self._number
        self._number += step
        return zigzag(step)

    def text(self, step: int) -> str:
        """The text a step leads to."""
        self._number += unzigzag(step)
        if not 0 <= self._number < 10**self._digits:
            raise Malformed("a number in the rows is longer than the one before")
        return f"{self._number:0{self._digits}d}"

    def heard(self, text: str) -> str:
        """A text that came whole: the next may count on from it."""
        self._take(text)
        return text

    def _take(self, text: str) -> None:
        if text and len(text) <= _DIGITS_MAX and text.isascii() and text.isdigit():
            self._digits, self._number = len(text), int(text)


def write_numbered(texts: Sequence[str], last: NumberedTexts, out: Writer) -> None:
    """A column of them."""
    steps = [last.step(text) if text else None for text in texts]
    modes = [_EMPTY if not t else _TEXT if s is None else _STEP for t, s in zip(texts, steps, strict=True)]
    out.small(modes)
    out.wide([step for step in steps if step is not None])
    for text, mode in zip(texts, modes, strict=True):
        if mode == _TEXT:
            out.text(text)


def read_numbered(count: int, last: NumberedTexts, into: Reader) -> list[str]:
    """The column again."""
    modes = into.small(count)
    steps = iter(into.wide(modes.count(_STEP)))
    whole = iter([into.text() for mode in modes if mode not in (_EMPTY, _STEP)])
    return [
        "" if mode == _EMPTY else last.text(next(steps)) if mode == _STEP else last.heard(next(whole))
        for mode in modes
    ]


class TextTable:
    """Few texts, named often: a shop's terminals."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._texts = list(texts)

    def number(self, text: str) -> int:
        """The text's place in the table, which grows by it where it is new."""
        if text not in self._texts:
            self._texts.append(text)
        return self._texts.index(text)

    def text(self, number: int) -> str:
        """The text at a place."""
        if number >= len(self._texts):
            raise Malformed("a text is named that was not told")
        return self._texts[number]

    def write(self, out: Writer) -> None:
        """All of them."""
        out.small((len(self._texts),))
        for text in self._texts:
            is_number = 0 < len(text) <= _DIGITS_MAX and text.isascii() and text.isdigit()
            out.small((len(text) if is_number else 0,))
            if is_number:
                out.long(int(text))
            else:
                out.text(text)

    @classmethod
    def read(cls, into: Reader) -> "TextTable":
        """The table again."""
        (count,) = into.small(1)
        if count > _TEXTS_MAX:
            raise Malformed("more texts than rows")
        texts = []
        for _ in range(count):
            (digits,) = into.small(1)
            if digits > _DIGITS_MAX:
                raise Malformed("a number has more digits than any of ours")
            texts.append(f"{into.long():0{digits}d}" if digits else into.text())
        return cls(texts)
