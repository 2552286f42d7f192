"""Sadad fields: how text, numbers and ids leave the wire clean, and the values that say something is wrong.

Every text passes through here before anything else sees it: blanks and NULs go, unprintable characters go (a
card number could hide between them), card numbers are masked.
"""

from collections.abc import Callable

from msgspec import Struct

from vafa.model.identity import ascii_digits
from vafa.model.pan import mask_pans

Tokenise = Callable[[str], str]
"""Card number -> what stands in its place in an id, so that distinct payments stay distinct."""

RRN_DIGITS = 12
TRACE_DIGITS = 6


class Malformed(Struct, frozen=True):
    """A good frame whose data does not fit its message; `why` never quotes the data."""

    why: str


class NotPaid(Struct, frozen=True):
    """The terminal says that no payment happened: declined, or no reference number."""

    why: str


class Fault(Struct, frozen=True):
    """Something a person must look at. `code` is the look-up code of docs/operations.md."""

    code: str
    message: str


WRONG_TERMINAL = "TRM-002"
NO_REFERENCE = "TRM-003"
AMOUNT_DIFFERS = "TRM-004"
UNREADABLE = "TRM-005"
UNEXPECTED = "TRM-006"
REFUSED_THRICE = "TRM-007"
USED_REFERENCE = "TRM-009"


def clean(field: str) -> str:
    """A field without padding and unprintable characters; what follows an inner NUL is stale and dropped."""
    text = field.strip("\0 \t\r\n")
    if text.isprintable():  # then it holds no NUL either, and no blank at its ends
        return text
    text = text.split("\0", 1)[0]
    return "".join(c for c in text if c.isprintable()).strip()


def text_of(field: str) -> str:
    """Free text: clean, card numbers masked."""
    return mask_pans(clean(field))


def id_of(field: str, tokenise: Tokenise | None) -> str:
    """An id (order, invoice, reference): clean, a card number in it replaced by its token, else masked."""
    return mask_pans(clean(field), tokenise)


def number_of(field: str) -> int | None:
    """A non-negative number; 0 for an empty field, None when it is no number."""
    digits = ascii_digits(clean(field))
    if not digits:
        return 0
    return int(digits) if digits.isascii() and digits.isdigit() else None


def rrn_of(field: str, tokenise: Tokenise | None) -> str:
    """The reference number with its twelve digits, '' when the terminal gave none.

    Live frames and journal rows may pad the same number differently; the key must not notice.
    """
    digits = ascii_digits(clean(field))
    if not digits.strip("0"):
        return ""
    return mask_pans(digits.lstrip("0").zfill(RRN_DIGITS) if digits.isdigit() else digits, tokenise)
