"""What holds of everything that is read, whoever sent it. Written without the code that is judged."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from vafa.model.payment import Payment

AMOUNT_MAX = 9_999_999_999_999  # thirteen digits
_TO_ASCII = {ord(c): str(n % 10) for n, c in enumerate("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩")}
_HASH = re.compile(r"\b(?=[0-9]*[a-f])(?:[0-9a-f]{16}){1,4}\b")  # hashes: chance makes numbers in some
_LONG = re.compile(r"(?<!\d)\d{13,19}(?!\d)")
# Numbers of issuers: travel, banking, merchandising, national; one alone of that length that passes Luhn.
_DOUBLED = {str(d): (d * 2 - 9 if d > 4 else d * 2) for d in range(10)}


def card_numbers(text: str) -> list[str]:
    """Card numbers that stand in a text undivided."""
    return [
        found
        for found in _LONG.findall(_HASH.sub("", text).translate(_TO_ASCII))
        if found[0] in "234569" and _luhn(found)
    ]


def _luhn(digits: str) -> bool:
    back = digits[::-1]
    return (sum(map(int, back[::2])) + sum(_DOUBLED[d] for d in back[1::2])) % 10 == 0


def texts(value: object) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from texts(getattr(value, name))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from texts(key)
            yield from texts(each)


def assert_no_card_number(value: object) -> None:
    """No text in it holds one. Amounts are numbers, and any number may look like a card's."""
    for text in texts(value):
        assert not card_numbers(text), f"a card number in a {type(value).__name__}"


def assert_sound(payment: Payment, tid: str) -> None:
    """A payment that may be booked: by this terminal, of a possible amount, with an identity."""
    assert payment.key.tid == tid, "a payment of another terminal"
    assert payment.key.ref.strip("0 "), "a payment without a reference"
    assert isinstance(payment.amount, int)
    assert 0 < payment.amount <= AMOUNT_MAX, f"an amount of {payment.amount}"
    assert_no_card_number(payment)


def same(a: Any, b: Any, what: str) -> None:
    """Both ways gave the same."""
    assert a == b, f"{what}: {str(a)[:200]} and {str(b)[:200]}"
