"""Consecutive journal rows as few bytes as can be, and back, byte for byte.

A row travels as its time, its kind and its body. Its hash, its till sums and its state hash follow from the
rows before by `books.apply`: the hub computes them and compares the last hash with the one the request names.
Only when the two do not agree does the hub ask for whole rows, which carry till and state too.

A payload is one byte of form, the length of the raw stream, the raw stream, the packed plain stream (see
wire.columns). The plain stream has, in this order: how many rows, the first row's epoch, seq and time,
whether rows are whole; then the columns of all rows (steps of epoch and time, kinds); then the bodies: awards
by wire.awards, which predicts most of each, the others as MessagePack whose tokens are numbers into the table
of those told before.
"""

from collections.abc import Sequence
from itertools import chain, pairwise

import msgspec

from vafa.model.chain import Row
from vafa.model.errors import Malformed
from vafa.model.events import Award, Kind, encode
from vafa.wire import award_points, award_rules, awards, bodies, limits
from vafa.wire.columns import FirstReader, Reader, SecondReader, Writer, unzigzag, zigzag
from vafa.wire.compress import Form, block, read_varint, unblock, varint
from vafa.wire.tokens import TokensHeard, TokensTold

_READERS: dict[int, type[Reader]] = {
    Form.ROWS_1: FirstReader, Form.ROWS_2: SecondReader, Form.ROWS_3: Reader,
    Form.ROWS_3_WHOLE: Reader,
}  # fmt: skip
_INT64 = 1 << 63
_TILL_BYTES_MAX = 256
_RECENTLY_MS = 1_767_225_600_000  # 2026-01-01: a first row's time is told from there


class WireRow(msgspec.Struct, frozen=True, gc=False):
    """A journal row as it travels: `till` and `state` are None unless the rows are whole."""

    epoch: int
    seq: int
    at: int
    kind: int
    body: bytes
    till: bytes | None = None
    state: bytes | None = None


def pack(rows: Sequence[Row | WireRow], *, whole: bool = False) -> bytes:
    """The payload of 1 to ROWS_MAX consecutive rows."""
    raw, plain = streams(rows, whole=whole)
    form, packed = block(plain)
    return bytes([form]) + varint(len(raw)) + raw + packed


def streams(rows: Sequence[Row | WireRow], *, whole: bool = False) -> tuple[bytes, bytes]:
    """The raw and the plain stream of a payload."""
    assert 0 < len(rows) <= limits.ROWS_MAX
    first = rows[0]
    out = Writer()
    out.small((len(rows), first.epoch, int(whole)))
    out.long(first.seq)
    out.long(zigzag(first.at - _RECENTLY_MS))
    out.small(zigzag(row.epoch - before.epoch) for before, row in pairwise(rows))
    out.wide([zigzag(row.at - before.at) for before, row in pairwise(rows)])
    out.small(row.kind for row in rows)
    found = [(row, award_points.modelled(row.kind, row.body)) for row in rows]
    out.small(int(award is None) for row, award in found if row.kind == Kind.AWARD)
    award_list = [award for _, award in found if award is not None]
    rules = award_rules.compared(award_list)
    others = [(row.body, bodies.parts_of(row.body)) for row, award in found if award is None]
    named = chain(awards.tokens_of(award_list, rules), *(bodies.tokens_of(parts) for _, parts in others))
    told = TokensTold(named, out)
    if award_list:
        awards.write([row.at for row, award in found if award is not None], award_list, rules, told, out)
    for body, parts in others:
        bodies.write(body, parts, told, out)
    if whole:
        _write_whole(rows, out)
    return out.raw, bytes(out.plain)


def unpack(payload: bytes) -> list[WireRow]:
    """The rows again. Malformed for anything that `pack` does not write."""
    reader = _READERS.get(payload[0]) if payload else None
    if reader is None:
        raise Malformed("the rows are packed in a form this Vafa does not know")
    length, start = read_varint(payload, 1)
    raw = payload[start : start + length]
    if len(raw) != length:
        raise Malformed("the rows are cut off")
    into = reader(unblock(Form(payload[0]), payload[start + length :]), raw)
    try:
        rows = _read(into)
    except (ValueError, OverflowError, RecursionError, StopIteration) as error:
        raise Malformed(f"the rows do not unpack ({error})") from error
    into.end()
    return rows


def _write_whole(rows: Sequence[Row | WireRow], out: Writer) -> None:
    for row in rows:
        assert row.till is not None
        assert row.state is not None
        out.blob(row.till)
        out.token(row.state)


def _read(into: Reader) -> list[WireRow]:
    count, epoch, whole = into.small(3)
    seq, at = into.long(), into.long()
    if not 0 < count <= limits.ROWS_MAX or whole > 1:
        raise Malformed(f"a payload has {count:,} rows; 1 to {limits.ROWS_MAX:,} are allowed")
    epochs, ats = [epoch], [unzigzag(at) + _RECENTLY_MS]
    for step in into.small(count - 1):
        epochs.append(epochs[-1] + unzigzag(step))
    for step in into.wide(count - 1):
        ats.append(ats[-1] + unzigzag(step))
    if min(epochs) < 0 or max(map(abs, ats)) >= _INT64 or max(*epochs, seq + count) >= _INT64:
        raise Malformed("an epoch, number or time lies outside what a journal holds")
    kinds = into.small(count)
    told_whole = iter(into.small(kinds.count(Kind.AWARD)))
    in_columns = [kind == Kind.AWARD and not next(told_whole) for kind in kinds]
    heard = TokensHeard(into)
    found: list[bytes] = []
    if any(in_columns):
        in_ats = [at for at, is_in in zip(ats, in_columns, strict=True) if is_in]
        read = awards.read(in_ats, heard, into)
        found = _bodies_of(read, heard, into)
    taken = iter(found)
    row_bodies = _within([next(taken) if is_in else bodies.read(heard, into) for is_in in in_columns])
    tills: list[tuple[bytes | None, bytes | None]] = [(None, None)] * count
    if whole:
        tills = [(into.blob(_TILL_BYTES_MAX), into.token(limits.HASH_BYTES)) for _ in range(count)]
    return [WireRow(epochs[n], seq + n, ats[n], kinds[n], row_bodies[n], *tills[n]) for n in range(count)]


def _bodies_of(read: Sequence[Award], heard: TokensHeard, into: Reader) -> list[bytes]:
    if into.has_rules:
        return [encode(award) for award in read]
    mores = bodies.read_more(len(read), heard, into)
    return [award_points.first_body_of(*pair) for pair in zip(read, mores, strict=True)]


def _within(row_bodies: list[bytes]) -> list[bytes]:
    if sum(map(len, row_bodies)) > limits.CONTENT_BYTES_MAX:
        raise Malformed(f"the rows have more than {limits.CONTENT_BYTES_MAX:,} bytes")
    return row_bodies
