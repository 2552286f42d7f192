"""Card numbers are masked before anything else sees them, whatever field they arrive in.

A run of 13 to 19 digits that passes the Luhn check and begins as issuers' numbers do is taken for a card
number (PAN) in any field but an amount. Inside a longer run only a 16-digit number of a known Iranian issuer
counts, because every long number holds some window that passes Luhn. Where a card number stands in a key or a
request id the caller keeps distinct payments distinct with a keyed token instead.
"""

import re
from collections.abc import Callable

from msgspec import Struct

from vafa.model.identity import ascii_digits

PAN_DIGITS_MIN, PAN_DIGITS_MAX = 13, 19
_ANY_DIGIT = "0-9۰-۹٠-٩"
_RUN = re.compile(f"[{_ANY_DIGIT}](?:[ -]?[{_ANY_DIGIT}]){{{PAN_DIGITS_MIN - 1},}}")
# One undivided number, or one divided as cards print it, next to other numbers: `card 4111... 12/27`.
_STANDING = re.compile(
    f"(?<![{_ANY_DIGIT}])(?:[{_ANY_DIGIT}]{{{PAN_DIGITS_MIN},{PAN_DIGITS_MAX}}}"
    f"|[{_ANY_DIGIT}]{{4}}([ -])(?:(?:[{_ANY_DIGIT}]{{4}}\\1){{2}}[{_ANY_DIGIT}]{{4}}"
    f"|[{_ANY_DIGIT}]{{6}}\\1[{_ANY_DIGIT}]{{5}}))(?![{_ANY_DIGIT}])"
)
_IRANIAN_PAN_DIGITS = 16
_FIRST_DIGITS = "234569"  # ISO/IEC 7812: travel, banking, merchandising; 9 is for national use
# Issuers' six digits of Iran's banks (two public lists and a vendor's table agree on them).
IRANIAN_BINS = frozenset(
    """603799 610433 991975 621986 622106 639194 627884 502229 639347 627353 585983 603769 603770 639217
    589210 589463 628023 627760 502806 504706 627412 627488 502910 639346 639607 627648 207177 627961
    502908 502938 505785 505416 504172 636214 606373 505809 636795 627381 505801 639370 636949
    628157""".split()
)
_MASKED = re.compile(r"^\s*(\d{6})[-*#xX•. ]*[*#xX•][-*#xX•. ]*(\d{4})\s*$")


def luhn_ok(digits: str) -> bool:
    """True when the ASCII digits pass the Luhn check (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def looks_like_pan(digits: str) -> bool:
    """True for 13 to 19 ASCII digits that pass Luhn and begin as an issuer's number does."""
    return (
        PAN_DIGITS_MIN <= len(digits) <= PAN_DIGITS_MAX
        and digits.isdigit()
        and digits[0] in _FIRST_DIGITS
        and luhn_ok(digits)
    )


def mask_pans(text: str, replace: Callable[[str], str] | None = None) -> str:
    """`text` with every card number in it replaced: by `621986******3864`, or by `replace(digits)`.

    Digits may be Latin, Persian or Arabic-Indic, with single blanks or dashes between them.
    """
    if len(text) < PAN_DIGITS_MIN:
        return text
    if text.isascii() and text.isdigit():  # one number, such as a merchant's: nothing to search for
        if _pan_inside(text) is None:
            return text
    elif not _RUN.search(text):
        return text

    def shown(pan: str) -> str:
        return replace(pan) if replace else f"{pan[:6]}{'*' * (len(pan) - 10)}{pan[-4:]}"

    def clean_standing(number: re.Match[str]) -> str:
        digits = ascii_digits(re.sub("[ -]", "", number.group()))
        return shown(digits) if looks_like_pan(digits) else number.group()

    def clean(run: re.Match[str]) -> str:
        spot = _pan_inside(ascii_digits(re.sub("[ -]", "", run.group())))
        if spot is None:
            return run.group()
        before, pan, after = spot
        # Parted from its neighbours: digits of a mask or a token and those beside it would be a number again.
        return f"{before}_{shown(pan)}_{mask_pans(after, replace)}".strip("_")

    return _RUN.sub(clean, _STANDING.sub(clean_standing, text))


def _pan_inside(digits: str) -> tuple[str, str, str] | None:
    """(before, card number, after) of the first card number in a run of digits, or None."""
    if looks_like_pan(digits):
        return "", digits, ""
    for start in range(len(digits) - _IRANIAN_PAN_DIGITS + 1):
        end = start + _IRANIAN_PAN_DIGITS
        window = digits[start:end]
        if window[:6] in IRANIAN_BINS and luhn_ok(window):
            return digits[:start], window, digits[end:]
    return None


class CardHint(Struct, frozen=True):
    """What a terminal told of the card. In memory only: `pan_sha256` *is* the card number to an attacker.

    bin6, last4   six and four ASCII digits, or both '' when the terminal gave no readable mask
    pan_sha256    32 bytes, the terminal's unsalted hash of the whole number, or b''
    """

    bin6: str = ""
    last4: str = ""
    pan_sha256: bytes = b""

    def __repr__(self) -> str:
        return f"CardHint({self.mask or '-'}{', hash' if self.pan_sha256 else ''})"

    @property
    def mask(self) -> str:
        """`621986******3864`, or ''."""
        return f"{self.bin6}******{self.last4}" if self.bin6 else ""


def card_hint(field: str, pan_sha256: bytes = b"") -> CardHint:
    """The hint in a terminal's card field: a mask of any shape, or a full number by old firmware."""
    text = ascii_digits(field)
    masked = _MASKED.match(text)
    if masked:
        return CardHint(masked.group(1), masked.group(2), pan_sha256)
    digits = re.sub(r"[\s-]", "", text)
    if digits.isdigit() and PAN_DIGITS_MIN <= len(digits) <= PAN_DIGITS_MAX:
        return CardHint(digits[:6], digits[-4:], pan_sha256)
    return CardHint(pan_sha256=pan_sha256)
