"""What all messages of the local protocol share: the kinds of values, and the two sides' common fields."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from vafa.model.money import AMOUNT_MAX, Currency

Text = Annotated[str, Meta(max_length=200)]
# Python's `$` also stands before a last newline, which must not become part of a reference.
_END = r"$(?!\n)"
Reference = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+" + _END)]
Language = Annotated[str, Meta(pattern="^(fa|en)" + _END)]
TerminalId = Annotated[str, Meta(min_length=1, max_length=32)]
Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
Rial = Literal["rial", "new-rial"]  # the rial of today, and the redenominated one: 10,000 of the former
CURRENCIES: dict[Rial, Currency] = {"rial": Currency.RIAL_CURRENT, "new-rial": Currency.RIAL_NEW}
RIALS = {currency: rial for rial, currency in CURRENCIES.items()}
Instant = Annotated[int, Meta(ge=0, le=2**40)]
Phone = Annotated[str, Meta(min_length=4, max_length=40)]


class Card(Struct, frozen=True, forbid_unknown_fields=True):
    """What the sender knows of the card. A full number is masked on arrival and never kept.

    mask    first six and last four digits in any usual mask, e.g. 621986******3864
    sha256  64 hex digits, the terminal's hash of the whole number
    """

    mask: Text = ""
    sha256: Annotated[str, Meta(max_length=64, pattern="^([0-9A-Fa-f]{64})?" + _END)] = ""


class Request(Struct, frozen=True, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    """What all requests share: `id` is echoed in the answer."""

    id: Text | int | UnsetType = UNSET


class Answer(Struct, frozen=True, tag_field="answer", kw_only=True, omit_defaults=True):
    """What all answers share: which answer it is, and the request's `id` when it had one."""

    id: Text | int | UnsetType = UNSET
