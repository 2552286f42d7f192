"""Texts that are mostly numbers counting up: references, traces, order ids, claim codes.

A text of digits travels as the step from the one before it, its length being that of the one before. Anything
else travels as a text, and is no trouble either.
"""

from collections.abc import Sequence

from vafa.model.errors import Malformed
from vafa.wire.columns import Reader, Writer, unzigzag, zigzag

_EMPTY, _STEP, _TEXT, _FIRST = 0, 1, 2, 3
_DIGITS_MAX = 18
_TEXTS_MAX = 1_000


class NumberedTexts:
    """What the last text of digits was. `digits`: how long the first one is taken to be."""

    def __init__(self, digits: int) -> None:
        self.digits, self._number = digits, 0

    def step(self, text: str) -> int | None:
        """The step from the last number; None where the text is not one of the same length."""
        if not (len(text) == self.digits and text.isascii() and text.isdigit()):
            self._take(text)
            return None
        before, self._number = self._number, int(text)
        return zigzag(self._number - before)

    def text(self, step: int) -> str:
        """The text a step leads to."""
        self._number += unzigzag(step)
        return self.told(self._number)

    def told(self, number: int) -> str:
        """The text of a number that came whole."""
        text = f"{number:0{self.digits}d}"
        if number < 0 or len(text) > self.digits:
            raise Malformed("a number in the rows is longer than the one before")
        self._number = number
        return text

    def heard(self, text: str) -> str:
        """A text that came whole: the next may count on from it."""
        self._take(text)
        return text

    def _take(self, text: str) -> None:
        if text and len(text) <= _DIGITS_MAX and text.isascii() and text.isdigit():
            self.digits, self._number = len(text), int(text)


def write_numbered(texts: Sequence[str], last: NumberedTexts, out: Writer) -> None:
    """A column of them. The first is no step from anything: its digits."""
    digits = last.digits
    steps = [last.step(text) if text else None for text in texts]
    modes = [_EMPTY if not t else _TEXT if s is None else _STEP for t, s in zip(texts, steps, strict=True)]
    first = next((place for place, mode in enumerate(modes) if mode != _EMPTY), None)
    if first is not None and modes[first] == _STEP:
        modes[first] = _FIRST
    out.small(modes)
    out.digits([int(text) for text, mode in zip(texts, modes, strict=True) if mode == _FIRST], digits)
    out.wide([step for step, mode in zip(steps, modes, strict=True) if step is not None and mode == _STEP])
    for text, mode in zip(texts, modes, strict=True):
        if mode == _TEXT:
            out.text(text)


def read_numbered(count: int, last: NumberedTexts, into: Reader) -> list[str]:
    """The column again."""
    modes = into.small(count)
    if max(modes, default=0) > _FIRST:
        raise Malformed("a text comes in a way this Vafa does not know")
    if not any(modes):
        return [""] * count
    first = iter(into.digits(modes.count(_FIRST), last.digits))
    steps = iter(into.wide(modes.count(_STEP)))
    whole = iter([into.text() for mode in modes if mode == _TEXT])
    texts = []
    for mode in modes:
        match mode:
            case 0:
                texts.append("")
            case 1:
                texts.append(last.text(next(steps)))
            case 2:
                texts.append(last.heard(next(whole)))
            case _:
                texts.append(last.told(next(first)))
    return texts


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
                out.digits([int(text)], len(text))
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
            texts.append(f"{into.digits(1, digits)[0]:0{digits}d}" if digits else into.text())
        return cls(texts)
