"""What of an award follows from the awards before it in the same payload, for both sides alike.

A contribution follows from the programme's rate, a member's carry and balance from their last award, points
from both. What follows is not sent. A prediction that fails (a refund came between) costs a few bytes and
nothing else.
"""

from collections.abc import Sequence
from math import gcd
from typing import Any

import msgspec

from vafa.model import events
from vafa.model.errors import Malformed
from vafa.model.events import Kind
from vafa.wire import award_rules
from vafa.wire.columns import Reader, Writer, unzigzag, zigzag
from vafa.wire.foretelling import FIRST_FIELD

Fraction = tuple[int, int]
NUMBER_MAX = 2**53
NO_CARRY: Fraction = (0, 1)
_TEXT_CHARS_MAX = 200
_encoder = msgspec.msgpack.Encoder()
_OF_RATE, _OWN = 0, 1  # a told carry is so many parts of the rate's denominator, or has its own


class Bare(msgspec.Struct, frozen=True, gc=False):
    """An award without its points."""

    paid: events.Paid
    holder: bytes
    claim: str
    programme: bytes
    eligible: int
    known_by: int


def modelled(kind: int, body: bytes) -> events.Award | None:
    """The award in a row's body when the columns carry it exactly; None: the body travels as it is."""
    if kind != Kind.AWARD:
        return None
    try:
        award = events.decode(kind, body)
        exact = events.encode(award) == body
    except (ValueError, OverflowError, RecursionError):
        return None
    assert isinstance(award, events.Award)
    return award if exact and _fits(award) else None


def first_body_of(award: events.Award, more: list[Any]) -> bytes:
    """The body of an award that was packed before rules had columns: `more` are their fields as written."""
    return _encoder.encode([*msgspec.structs.astuple(award)[:FIRST_FIELD], *more])


def _fits(award: events.Award) -> bool:
    paid = award.paid
    numbers = (
        paid.amount, award.eligible, award.balance, paid.currency, paid.source, paid.key.reuse,
        award.known_by, paid.paid_at or 0, *award.contribution, *award.carry,
    )  # fmt: skip
    if min(numbers) < 0 or max(numbers) > NUMBER_MAX:
        return False
    texts = (paid.key.tid, paid.key.ref, paid.trace, paid.order_id, paid.mask, award.claim)
    tokens = (paid.card, award.holder, award.programme)
    if max(map(len, texts)) > _TEXT_CHARS_MAX or max(map(len, tokens)) > 32:
        return False
    for num, den in (award.contribution, award.carry):
        if den < 1 or gcd(num, den) != 1:
            return False
    return award.points == _floor(award.carry, award.contribution) and _has_rate(award)


def _has_rate(award: events.Award) -> bool:
    """True when a rate and what the rules' fields tell give the contribution."""
    grown = events.has_grown(award)
    if grown and not award_rules.fits(award):
        return False
    extra = award_rules.unexplained(award.fixed, award.clipped) if grown else NO_CARRY
    num, den = _by_rate(award, extra)
    told = (num, den, *_rate(award, extra))
    return num >= 0 and max(told) <= NUMBER_MAX and (bool(award.eligible) or not num)


def write(awards: Sequence[events.Award], extras: Sequence[Fraction], out: Writer) -> None:
    """Rates, carries, balances. `extras`: what of each contribution no rate explains."""
    rates = [_rate(award, extra) for award, extra in zip(awards, extras, strict=True)]
    _write_rates(awards, rates, out)
    denominators = _denominators([(a.programme, rate) for a, rate in zip(awards, rates, strict=True)])
    _write_carries(awards, denominators, out)
    balance_of: dict[bytes, int] = {}
    failed, told = [], []
    for award in awards:
        known = balance_of.get(award.holder) if award.holder else 0
        expected = None if known is None else known + award.points if award.holder else 0
        if expected is not None:
            failed.append(int(expected != award.balance))
        if expected != award.balance:
            told.append(zigzag(award.balance - award.points))
        balance_of[award.holder] = award.balance
    out.small(failed)
    out.wide(told)


def read(bare: Sequence[Bare], extras: Sequence[Fraction], into: Reader) -> list[events.Award]:
    """The awards again, but for their rules' fields."""
    rates = _read_rates(bare, into)
    changes = [
        _changed(one.eligible * num, den, extra)
        for one, (num, den), extra in zip(bare, rates, extras, strict=True)
    ]
    denominators = _denominators([(one.programme, rate) for one, rate in zip(bare, rates, strict=True)])
    carries = _read_carries(bare, changes, denominators, into)
    points = [_floor(carry, change) for carry, change in zip(carries, changes, strict=True)]
    met: set[bytes] = {b""}
    is_known = []
    for one in bare:
        is_known.append(one.holder in met)
        met.add(one.holder)
    failed = iter(into.small(sum(is_known)))
    is_told = [not known or bool(next(failed)) for known in is_known]
    told = iter(into.wide(sum(is_told)))
    balance_of: dict[bytes, int] = {}
    awards = []
    for n, one in enumerate(bare):
        if is_told[n]:
            balance = unzigzag(next(told)) + points[n]
        else:
            balance = balance_of[one.holder] + points[n] if one.holder else 0
        balance_of[one.holder] = balance
        awards.append(
            events.Award(
                one.paid, one.holder, one.claim, one.programme, one.eligible, changes[n], carries[n],
                points[n], balance, one.known_by,
            )
        )  # fmt: skip
    return awards


def _write_rates(awards: Sequence[events.Award], rates: Sequence[Fraction], out: Writer) -> None:
    """0: as the programme's last award. Else a place in the list of rates told, which may be a new one."""
    rate_of: dict[bytes, Fraction] = {}
    places: dict[Fraction, int] = {}
    numbers, told = [], list[int]()
    for award, rate in zip(awards, rates, strict=True):
        if not award.eligible:
            continue
        if rate_of.get(award.programme) == rate:
            numbers.append(0)
            continue
        if rate not in places:
            places[rate] = len(places)
            told += rate
        numbers.append(places[rate] + 1)
        rate_of[award.programme] = rate
    out.small(numbers)
    out.small(told)


def _read_rates(bare: Sequence[Bare], into: Reader) -> list[Fraction]:
    numbers = iter(into.small(sum(one.eligible != 0 for one in bare)))
    ordered = [next(numbers) if one.eligible else 0 for one in bare]
    parts = into.small(2 * max(ordered, default=0))
    told = list(zip(parts[::2], parts[1::2], strict=True))
    if any(not 0 < den <= NUMBER_MAX * NUMBER_MAX for _, den in told):
        raise Malformed("a rate has no denominator")
    rate_of: dict[bytes, Fraction] = {}
    rates = []
    for one, number in zip(bare, ordered, strict=True):
        if not one.eligible:
            rates.append(NO_CARRY)
            continue
        if number:
            rate_of[one.programme] = told[number - 1]
        if one.programme not in rate_of:
            raise Malformed("an award's rate was not told")
        rates.append(rate_of[one.programme])
    return rates


def _denominators(rates: Sequence[tuple[bytes, Fraction]]) -> list[int]:
    """For each award the denominator of its programme's newest rate: a carry is mostly a part of it."""
    newest: dict[bytes, int] = {}
    found = []
    for programme, (num, den) in rates:
        if num:
            newest[programme] = den
        found.append(newest.get(programme, 1))
    return found


def _write_carries(awards: Sequence[events.Award], denominators: Sequence[int], out: Writer) -> None:
    carry_of: dict[tuple[bytes, bytes], Fraction] = {}
    failed, told = [], []
    for award, whole in zip(awards, denominators, strict=True):
        place = (award.holder, award.programme)
        expected = carry_of.get(place) if award.holder else NO_CARRY
        if expected is not None:
            failed.append(int(expected != award.carry))
        if expected != award.carry:
            told.append((award.carry, whole))
        carry_of[place] = _left(award.carry, award.contribution)
    out.small(failed)
    out.small(_OWN if whole % den else _OF_RATE for (_, den), whole in told)
    out.wide([num * (whole // den) for (num, den), whole in told if whole % den == 0])
    for (num, den), whole in told:
        if whole % den:
            out.small((num, den))


def _read_carries(
    bare: Sequence[Bare], changes: Sequence[Fraction], denominators: Sequence[int], into: Reader
) -> list[Fraction]:
    met: set[tuple[bytes, bytes]] = set()
    is_known = []
    for one in bare:
        is_known.append(not one.holder or (one.holder, one.programme) in met)
        met.add((one.holder, one.programme))
    failed = iter(into.small(sum(is_known)))
    is_told = [not known or bool(next(failed)) for known in is_known]
    modes = into.small(sum(is_told))
    parts = iter(into.wide(modes.count(_OF_RATE)))
    own = into.small(2 * (len(modes) - modes.count(_OF_RATE)))
    owns = iter(zip(own[::2], own[1::2], strict=True))
    mode_of = iter(modes)
    carry_of: dict[tuple[bytes, bytes], Fraction] = {}
    carries = []
    for n, one in enumerate(bare):
        place = (one.holder, one.programme)
        if is_told[n]:
            carry = _reduced(next(parts), denominators[n]) if next(mode_of) == _OF_RATE else next(owns)
        else:
            carry = carry_of[place] if one.holder else NO_CARRY
        if carry[1] < 1:
            raise Malformed("a carry has no denominator")
        carry_of[place] = _left(carry, changes[n])
        carries.append(carry)
    return carries


def _rate(award: events.Award, extra: Fraction) -> Fraction:
    """Points for one minor unit; (0, 1) where nothing was eligible."""
    if not award.eligible:
        return NO_CARRY
    num, den = _by_rate(award, extra)
    return _reduced(num, den * award.eligible)


def _by_rate(award: events.Award, extra: Fraction) -> Fraction:
    """The part of the contribution that a rate explains."""
    if not extra[0]:
        return award.contribution
    (num, den), (less, of) = award.contribution, extra
    return _reduced(num * of - less * den, den * of)


def _changed(numerator: int, denominator: int, extra: Fraction) -> Fraction:
    """The contribution: what the rate explains, and the rest."""
    if extra[0]:
        numerator, denominator = numerator * extra[1] + extra[0] * denominator, denominator * extra[1]
        if numerator < 0:
            raise Malformed("a contribution is below zero")
    return _reduced(numerator, denominator)


def _reduced(numerator: int, denominator: int) -> Fraction:
    divisor = gcd(numerator, denominator)
    return numerator // divisor, denominator // divisor


def _floor(carry: Fraction, change: Fraction) -> int:
    return (carry[0] * change[1] + change[0] * carry[1]) // (carry[1] * change[1])


def _left(carry: Fraction, change: Fraction) -> Fraction:
    """The fraction above the floor of carry + contribution, in lowest terms."""
    denominator = carry[1] * change[1]
    return _reduced((carry[0] * change[1] + change[0] * carry[1]) % denominator, denominator)
