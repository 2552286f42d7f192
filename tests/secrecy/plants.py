"""Messages with a card number where it does not belong: in each field in turn, in each spelling."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from secrecy.search import ALPHABETS, spelled

from vafa.app import messages, questions

# Invented; Luhn-valid; the issuers' digits are those of two Iranian banks, Visa, American Express, Maestro.
PANS = (
    "6219861034529007",
    "6037991234567893",
    "4111111111111111",
    "4222222222222",
    "371449635398431",
    "6304123456789012347",
)
PHONES = ("9121236789", "9351112233")
LOCAL_TID, ECR_TID = "L0000001", "C0000301"
AMOUNT_DIGITS_MAX = 13  # such a number in an amount is an amount
_SEPARATORS = ("plain", "blanks", "dashes")

_LOCAL: dict[str, dict[str, Any]] = {
    "payment": {"terminal": LOCAL_TID, "ref": "p", "amount": 10_000},
    "sell": {"request": "s", "amount": 10_000, "terminal": LOCAL_TID},  # no such lane: refused, never asked
    "void": {"terminal": LOCAL_TID, "ref": "p", "request": "v"},
    "refund": {"terminal": LOCAL_TID, "ref": "p", "request": "r", "amount": 10},
    "identify": {"member": "09121236789"},
    "member": {"member": "09121236789"},
    "balance": {"member": "09121236789"},
}
_CONTROL: dict[str, dict[str, Any]] = {
    "why": {"sale": "1"},
    "explain": {"sale": "1"},
    "receipt": {"sale": "1"},
    "member add": {"phone": "09121236789"},
    "member show": {"who": "09121236789"},
    "member find": {"text": "6789"},
    "member bind": {"phone": "09121236789", "sale": "1"},
    "claim": {"code": "123456", "phone": "09121236789"},
    "sell": {"request": "s", "amount": 10_000, "terminal": LOCAL_TID},
    "undo": {"kind": "refund", "sale": "1", "request": "u"},
    "adjust": {"phone": "09121236789", "points": 5, "why": "a reason", "request": "a"},
    "programme activate": {"document": ""},
    "record": {"amount": 10_000, "rrn": "320062616116", "why": "a reason", "terminal": ECR_TID, "post": True},
    "gap close": {"gap": "1", "why": "a reason"},
}


def spellings(digits: str) -> list[str]:
    """The digits as people, tills and terminals write them, alone and inside other text."""
    alone = [spelled(digits, alphabet, separator) for alphabet in ALPHABETS for separator in _SEPARATORS]
    beside = [f"{digits}-1", f"0-{digits}", f"{spelled(digits, 'latin', 'blanks')} x 12"]
    return [*alone, *beside, f"order {digits} paid", f"INV{digits}", f"{digits}/1", f"a-{digits}-b"]


def planted_lines(digits: str) -> Iterator[tuple[str, bytes]]:
    """(socket, line): each field of each message of the local protocol and of the control socket."""
    number = 0
    for socket, union, tag, bases in (
        ("local", messages.AnyRequest, "op", _LOCAL),
        ("control", questions.AnyQuestion, "do", _CONTROL),
    ):
        for message in get_args(union):
            name = message.__struct_config__.tag
            for field in (*message.__struct_fields__, "unknown", tag):
                for value in _values(field, digits):
                    number += 1
                    unique = {"ref": f"{digits[-4:]}{number}"} if name == "payment" else {}
                    line = {tag: name} | bases.get(name, {}) | unique | {field: value}
                    yield socket, msgspec.json.encode(line)
        yield socket, f'{{"{tag}": "{digits}'.encode()
        yield socket, f'{digits} {{"{tag}"'.encode()
        yield socket, digits.encode("utf-16-le")
        yield socket, f'{{"{tag}":"ping","{digits}":1}}'.encode()
        yield socket, f'[{{"{digits}":{digits}}}]'.encode()


def _values(field: str, digits: str) -> Iterator[Any]:
    yield from spellings(digits)
    if field != "amount" or len(digits) > AMOUNT_DIGITS_MAX:
        yield int(digits)
    yield [digits]
    yield {digits: digits}
    if field == "card":
        for text in spellings(digits):
            yield {"mask": text}
            yield {"sha256": text}


def real_card(digits: str, number: int) -> bytes:
    """What an old payment application sends: the whole number as the mask, and its plain hash."""
    from hashlib import sha256

    card = {"mask": digits, "sha256": sha256(digits.encode()).hexdigest()}
    return msgspec.json.encode(
        {
            "op": "payment",
            "ref": f"card-{digits}-{number}",
            "amount": 10_000,
            "terminal": LOCAL_TID,
            "card": card,
        }
    )


def phone_spellings(digits: str) -> list[str]:
    """A mobile number as customers say it."""
    fronts = ("0", "", "98", "0098", "+98")
    return [
        (front + digits).translate(str.maketrans(ALPHABETS["latin"], ALPHABETS[alphabet]))
        for alphabet in ALPHABETS
        for front in fronts
    ] + [f"0{digits[:3]} {digits[3:6]} {digits[6:]}", f"0{digits[:3]}-{digits[3:6]}-{digits[6:]}"]


def phone_requests(phone: str, ref: str) -> list[tuple[str, dict[str, Any]]]:
    """(socket, request): each message with the phone in a field meant for one, and in some that are not."""
    payment = {"op": "payment", "terminal": LOCAL_TID, "ref": ref, "amount": 10_000, "member": phone}
    return [
        ("local", {"op": "identify", "member": phone}),
        ("local", payment),
        ("local", {"op": "member", "member": phone, "name": f"Sara {phone}"}),
        ("local", {"op": "balance", "member": phone}),
        ("local", {"op": "hello", "client": phone}),
        ("control", {"do": "member add", "phone": phone, "name": phone}),
        ("control", {"do": "member show", "who": phone}),
        ("control", {"do": "member find", "text": phone}),
        ("control", {"do": "member bind", "phone": phone, "sale": ref}),
        ("control", {"do": "claim", "code": "123456", "phone": phone}),
        ("control", {"do": "why", "sale": phone}),
        ("control", {"do": "undo", "kind": "void", "sale": phone, "request": f"u-{ref}"}),
        (
            "control",
            {"do": "adjust", "phone": phone, "points": 1, "why": f"{phone} 12 rang", "request": f"a-{ref}"},
        ),
        (
            "control",
            {"do": "record", "amount": 10_000, "rrn": f"4{ref.zfill(8)}", "terminal": ECR_TID, "post": True}
            | {"why": f"slip of {phone}"},
        ),
    ]
