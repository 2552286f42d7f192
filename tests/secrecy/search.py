"""Finds a card number or phone in bytes, however it is written there.

A form is one way to write the digits: an alphabet of digits, a way to group them, an encoding. What has no
byte boundary (packed BCD in either nibble phase) is looked for in the hex text of the bytes.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

ALPHABETS = {"latin": "0123456789", "persian": "۰۱۲۳۴۵۶۷۸۹", "arabic": "٠١٢٣٤٥٦٧٨٩"}
SEPARATORS = {"plain": "", "blanks": " ", "dashes": "-", "dots": ".", "hard blanks": "\u00a0"}
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


class Form(NamedTuple):
    """One way to write a secret. `nibbles`: compared with the hex text of the bytes, so at any half byte."""

    name: str
    data: bytes
    nibbles: bool = False


def spelled(digits: str, alphabet: str, separator: str) -> str:
    """The digits in an alphabet, in groups of four."""
    text = digits.translate(str.maketrans(ALPHABETS["latin"], ALPHABETS[alphabet]))
    return SEPARATORS[separator].join(text[at : at + 4] for at in range(0, len(text), 4))


def forms(digits: str) -> Iterator[Form]:
    """Every form this search knows. A form is at least five bytes, so that chance does not write it."""
    for alphabet in ALPHABETS:
        for separator in SEPARATORS:
            text = spelled(digits, alphabet, separator)
            for encoding in ENCODINGS:
                yield from _bytes_forms(f"{alphabet} {separator} {encoding}", text.encode(encoding))
            if alphabet != "latin":
                yield Form(
                    f"{alphabet} {separator} json",
                    text.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00"),
                )
    yield Form("bcd", digits.encode(), nibbles=True)
    swapped = "".join(digits[at : at + 2][::-1] for at in range(0, len(digits) - 1, 2))
    yield Form("bcd, nibbles swapped", swapped.encode(), nibbles=True)
    number = int(digits)
    width = (number.bit_length() + 7) // 8
    yield Form("integer, big end first", number.to_bytes(width, "big"))
    yield Form("integer, little end first", number.to_bytes(width, "little"))
    yield from _bytes_forms("sha-256", sha256(digits.encode()).digest())


def _bytes_forms(name: str, data: bytes) -> Iterator[Form]:
    """Bytes as they are, as hex text and in the three phases of base64."""
    yield Form(name, data)
    yield Form(f"{name} hex", data.hex().encode())
    yield Form(f"{name} HEX", data.hex().upper().encode())
    for phase in range(3):
        padded = b64encode(bytes(phase) + data)
        first, end = -(-phase * 8 // 6), (phase + len(data)) * 8 // 6
        yield Form(f"{name} base64 phase {phase}", padded[first:end])


class Place(NamedTuple):
    """Bytes to search and what they are called: a file, a log, a reply."""

    name: str
    data: bytes


def found(secrets: Iterable[str], places: Iterable[Place]) -> list[str]:
    """`place: form of secret` for each hit."""
    wanted = [(digits, form) for digits in secrets for form in forms(digits)]
    hits = []
    for place in places:
        nibbles = place.data.hex().encode()
        hits += [
            f"{place.name}: {form.name} of {digits}"
            for digits, form in wanted
            if form.data in (nibbles if form.nibbles else place.data)
        ]
    return hits
