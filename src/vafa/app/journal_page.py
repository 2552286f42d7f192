"""Journal rows as people and programs read them: fields by name, bytes in hex, numbers of kinds as words."""

import sqlite3
from enum import IntEnum
from itertools import islice
from typing import Any

import msgspec

from vafa.app.questions import Page
from vafa.app.status import iso
from vafa.ledger import reads
from vafa.model import events
from vafa.model.chain import check_code
from vafa.model.errors import NotFound
from vafa.model.events import Kind, KnownBy, Nothing, OfferEnd, SaleOutcome
from vafa.model.money import Currency
from vafa.model.payment import Scheme, Source

# fields that hold a number of a table; a number the table does not have is shown as it is
_WORDS: dict[str, type[IntEnum]] = {
    "outcome": SaleOutcome,
    "known_by": KnownBy,
    "source": Source,
    "scheme": Scheme,
    "currency": Currency,
    "end": OfferEnd,
}


def page(connection: sqlite3.Connection, after: int, kinds: tuple[str, ...], limit: int) -> Page:
    """At most `limit` rows after row `after`. NotFound for a kind that is none."""
    wanted = tuple(kind_of(name) for name in kinds)
    device = reads.device(connection)
    found = list(islice(reads.entries(connection, after, wanted), limit + 1))
    rows = tuple(named_row(entry, device) for entry in found[:limit]) if device else ()
    last = found[:limit][-1].row.seq if rows else after
    return Page(rows=rows, next=last, more=len(found) > limit)


def kind_of(name: str) -> Kind:
    """`award`, `sale asked` or `SALE_ASKED` as its kind."""
    wanted = name.strip().replace(" ", "_").replace("-", "_").upper()
    if wanted in Kind.__members__:
        return Kind[wanted]
    from difflib import get_close_matches  # only a misspelled kind pays for it

    near = get_close_matches(wanted, Kind.__members__, n=1)
    hint = (
        f"did you mean {near[0].lower()}?" if near else ", ".join(each.lower() for each in Kind.__members__)
    )
    raise NotFound("there is no such kind of event", fix=hint)


def named_row(entry: reads.Entry, device: reads.Device) -> dict[str, Any]:
    """One journal row; `check` is the code the paper prints of it."""
    row = entry.row
    return {
        "number": device.short_number(row.epoch, row.seq),
        "epoch": row.epoch,
        "seq": row.seq,
        "at": iso(row.at),
        "kind": Kind(row.kind).name.lower(),
        "event": named_fields(entry.event),
        "check": check_code(row.hash),
        "hash": row.hash.hex(),
    }


def named_fields(value: msgspec.Struct) -> dict[str, Any]:
    """A struct's fields by name, all the way down."""
    fields = {name: _shown(name, getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, events.PaymentSeen):
        fields["why"] = _word(Nothing, value.why)
    return fields


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        return named_fields(value)
    if isinstance(value, tuple):
        return [_shown("", each) for each in value]
    if isinstance(value, int) and name in _WORDS:
        return _word(_WORDS[name], value)
    return value


def _word(table: type[IntEnum], value: int) -> str | int:
    try:
        return table(value).name.lower()
    except ValueError:
        return value
