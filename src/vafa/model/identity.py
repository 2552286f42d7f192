"""Who somebody is: phones, cards and their keyed tokens, as bytes that carry which key made them.

member id   = key id (2) + token of the E.164 phone (8)                    10 bytes
card token  = kind (1) + key id (2) + token of the card evidence (8)       11 bytes

A token is 8 bytes of HMAC-SHA-256 under a key kept outside the database (`keys/`). The key id travels in the
value, so ids made under a device's own key and under the merchant's key never collide and can be merged.
"""

import re
from enum import IntEnum
from typing import NewType

MemberId = NewType("MemberId", bytes)
CardToken = NewType("CardToken", bytes)

MEMBER_ID_BYTES = 10
CARD_TOKEN_BYTES = 11
NO_MEMBER = MemberId(b"")
NO_CARD = CardToken(b"")

_DIGITS = {ord(c): str(i % 10) for i, c in enumerate("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩")}
_PHONE_LIKE = re.compile(r"(?<!\d)(?:(?:\+|[0۰٠]{2})?[9۹٩][8۸٨]|[0۰٠])?[ -]?[9۹٩](?:[ -]?\d){9}(?!\d)")
_IRAN_MOBILE_DIGITS = 10  # 9xxxxxxxxx, without the trunk zero


class TokenKind(IntEnum):
    """What a card token was made from: the first byte of a CardToken. Stored; never renumber."""

    CARD_HASH = 1  # the terminal's hash of the whole card number: one card
    BIN_LAST4 = 2  # first six and last four digits: a hint, about one in 10,000 collides


def ascii_digits(text: str) -> str:
    """`text` with Persian and Arabic-Indic digits turned into 0-9; everything else unchanged."""
    return text if text.isascii() else text.translate(_DIGITS)


def phone_e164(text: str) -> str | None:
    """An Iranian mobile number in any usual spelling as `+989xxxxxxxxx`; None when it is not one.

    Accepts 09…, 9…, 989…, 00989…, +989…, Persian and Arabic digits, spaces, dashes and brackets.
    """
    digits = ascii_digits(text)
    plus = digits.strip().startswith("+")
    digits = "".join(c for c in digits if c not in " -()+\u200c\u200e\u200f\u2066\u2067\u2068\u2069\t")
    if not digits.isascii() or not digits.isdigit():
        return None
    for prefix in ("98",) if plus else ("0098", "0", "98", ""):
        rest = digits.removeprefix(prefix)
        if digits.startswith(prefix) and rest.startswith("9") and len(rest) == _IRAN_MOBILE_DIGITS:
            return "+98" + rest
    return None


def phone_masked(phone: str) -> str:
    """`+989121236789` as people may see it: `0912•••6789`."""
    national = "0" + phone.removeprefix("+98")
    return f"{national[:4]}•••{national[-4:]}"


def without_phones(text: str) -> str:
    """A text that a person typed, as it may be kept: each mobile number in it masked."""

    def masked(found: re.Match[str]) -> str:
        phone = phone_e164(found.group())
        return phone_masked(phone) if phone else found.group()

    return _PHONE_LIKE.sub(masked, text)


def last4_masked(last4: str) -> str:
    """A phone of which only the last four digits are known, e.g. when the daemon is down."""
    return f"09••••••{last4}" if last4 else "09••••••••"


def is_strong(token: bytes) -> bool:
    """True when the token stands for one card; False for BIN and last four digits, and for no card."""
    return bool(token) and token[0] == TokenKind.CARD_HASH
