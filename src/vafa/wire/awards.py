"""Awards in columns: most of a shop's journal, so most of its bytes.

Each column is what the award before or the payload so far (wire.award_model) does not tell. Adding a column
would be a new form (compress.Form): a payload has no room for a field that an old side could skip.
"""

from collections.abc import Iterator, Sequence

from vafa.model import events
from vafa.model.errors import Malformed
from vafa.model.payment import PaymentKey, Scheme
from vafa.wire import award_points, award_rules
from vafa.wire.award_rules import Told
from vafa.wire.columns import Reader, Writer, unzigzag, zigzag
from vafa.wire.numbered import NumberedTexts, TextTable, read_numbered, write_numbered
from vafa.wire.tokens import TokensHeard, TokensTold

# Issuers' six digits, the commonest first. A part of the form: never changed, not even in its order.
BINS = tuple(
    """603799 610433 627353 621986 622106 639194 627412 502229 639347 585983 589210 603769 603770 639217
    991975 589463 628023 627760 502806 504706 627488 502910 639346 639607 627648 207177 627961 627884
    502908 502938 505785 505416 504172 636214 606373 505809 636795 627381 505801 639370 636949
    628157""".split()
)
_BIN_NUMBERS = {digits: number for number, digits in enumerate(BINS, 2)}
_NO_MASK, _OTHER_BIN = 0, 1  # in the column of BINs: any other text, six digits not in the list
_AS_BEFORE, _TOLD, _ITS_CARD, _NOBODY = 0, 1, 2, 3  # the column of holders
_ZEROS_MAX = 12


def tokens_of(awards: Sequence[events.Award], rules: Sequence[Told]) -> Iterator[bytes]:
    """The tokens in the order `write` names them."""
    yield from (award.paid.card for award in awards)
    yield from (holder for mode, holder in _holders(awards) if mode == _TOLD)
    yield from (award.programme for award in _programme_changes(awards))
    yield from award_rules.tokens_of(rules)


def write(
    ats: Sequence[int], awards: Sequence[events.Award], rules: Sequence[Told], told: TokensTold, out: Writer
) -> None:
    """The columns of `awards`; `ats` are their rows' times, `rules` what is told of their rules."""
    paids = [award.paid for award in awards]
    tids = TextTable()
    out_tids = [tids.number(paid.key.tid) for paid in paids]
    tids.write(out)
    out.small(out_tids)
    for column in (
        [paid.key.scheme for paid in paids],
        [paid.key.reuse for paid in paids],
        [paid.currency for paid in paids],
        [paid.source for paid in paids],
        [award.known_by for award in awards],
        [zigzag(award.eligible - award.paid.amount) for award in awards],
    ):
        out.small(column)
    told.column([paid.card for paid in paids])
    _write_masks(paids, out)
    holders = _holders(awards)
    out.small(mode for mode, _ in holders)
    told.column([holder for mode, holder in holders if mode == _TOLD])
    changes = {id(award) for award in _programme_changes(awards)}
    out.small(int(id(award) in changes) for award in awards)
    told.column([award.programme for award in awards if id(award) in changes])
    zeros = [_zeros(paid.amount) for paid in paids]
    out.small(zeros)
    out.wide([paid.amount // 10**zero for paid, zero in zip(paids, zeros, strict=True)])
    _write_paid_ats(ats, paids, out)
    write_numbered([paid.key.ref for paid in paids], NumberedTexts(12), out)
    write_numbered([paid.trace for paid in paids], NumberedTexts(6), out)
    write_numbered([paid.order_id for paid in paids], NumberedTexts(0), out)
    write_numbered([award.claim for award in awards], NumberedTexts(6), out)
    award_rules.write(rules, told, out)
    award_points.write(awards, [each.extra for each in rules], out)


def read(ats: Sequence[int], heard: TokensHeard, into: Reader) -> list[events.Award]:
    """The awards again."""
    count = len(ats)
    tids = TextTable.read(into)
    keys_tid = [tids.text(number) for number in into.small(count)]
    schemes, reuses, currencies, sources, known_bys, eligible_steps = (into.small(count) for _ in range(6))
    cards = heard.column(count)
    masks = _read_masks(cards, into)
    modes = into.small(count)
    told = iter(heard.column(modes.count(_TOLD)))
    holders = _read_holders(cards, modes, told)
    changes = into.small(count)
    programmes = _read_programmes(changes, iter(heard.column(sum(map(bool, changes)))))
    zeros = into.small(count)
    if max(zeros, default=0) > _ZEROS_MAX:
        raise Malformed("an amount is larger than any of ours")
    amounts = [wide * 10**zero for wide, zero in zip(into.wide(count), zeros, strict=True)]
    paid_ats = _read_paid_ats(ats, into)
    refs = read_numbered(count, NumberedTexts(12), into)
    traces = read_numbered(count, NumberedTexts(6), into)
    orders = read_numbered(count, NumberedTexts(0), into)
    claims = read_numbered(count, NumberedTexts(6), into)
    paids = [
        events.Paid(
            PaymentKey(Scheme(schemes[n]), keys_tid[n], refs[n], reuses[n]),
            amounts[n], currencies[n], paid_ats[n], sources[n], traces[n], cards[n], masks[n], orders[n],
        )
        for n in range(count)
    ]  # fmt: skip
    eligibles = [amount + unzigzag(step) for amount, step in zip(amounts, eligible_steps, strict=True)]
    bare = [
        award_points.Bare(paids[n], holders[n], claims[n], programmes[n], eligibles[n], known_bys[n])
        for n in range(count)
    ]
    rules = award_rules.read(count, heard, into) if into.has_rules else award_rules.none_heard(count)
    return award_rules.whole(award_points.read(bare, rules.extras, into), rules)


def _zeros(amount: int) -> int:
    zeros = 0
    while amount and amount % 10 == 0 and zeros < _ZEROS_MAX:
        amount //= 10
        zeros += 1
    return zeros


def _holders(awards: Sequence[events.Award]) -> list[tuple[int, bytes]]:
    """How each award's holder is told: as the same card's last time, as a token, as its card, as nobody."""
    last: dict[bytes, bytes] = {}
    found = []
    for award in awards:
        card, holder = award.paid.card, award.holder
        if last.get(card) == holder:
            mode = _AS_BEFORE
        elif not holder:
            mode = _NOBODY
        else:
            mode = _ITS_CARD if holder == card else _TOLD
        last[card] = holder
        found.append((mode, holder))
    return found


def _read_holders(cards: Sequence[bytes], modes: Sequence[int], told: Iterator[bytes]) -> list[bytes]:
    last: dict[bytes, bytes] = {}
    holders = []
    for card, mode in zip(cards, modes, strict=True):
        match mode:
            case 0 if card in last:
                holder = last[card]
            case 1:
                holder = next(told)
            case 2:
                holder = card
            case 3:
                holder = b""
            case _:
                raise Malformed("an award's holder does not follow")
        last[card] = holder
        holders.append(holder)
    return holders


def _programme_changes(awards: Sequence[events.Award]) -> Iterator[events.Award]:
    before = None
    for award in awards:
        if award.programme != before:
            yield award
        before = award.programme


def _read_programmes(changes: Sequence[int], told: Iterator[bytes]) -> list[bytes]:
    programmes: list[bytes] = []
    for changed in changes:
        if not changed and not programmes:
            raise Malformed("the first award names no programme")
        programmes.append(next(told) if changed else programmes[-1])
    return programmes


def _write_masks(paids: Sequence[events.Paid], out: Writer) -> None:
    """Only for cards not seen before, or with another mask than last time."""
    last: dict[bytes, str] = {}
    changed, new = [], []
    for paid in paids:
        if paid.card in last:
            changed.append(int(last[paid.card] != paid.mask))
        if last.get(paid.card) != paid.mask:
            new.append(paid.mask)
        last[paid.card] = paid.mask
    shapes = [_shape(mask) for mask in new]
    out.small(changed)
    out.small(_BIN_NUMBERS.get(shape[0], _OTHER_BIN) if shape else _NO_MASK for shape in shapes)
    out.digits([int(shape[0]) for shape in shapes if shape and shape[0] not in _BIN_NUMBERS], 6)
    out.digits([int(shape[1]) for shape in shapes if shape], 4)
    for mask, shape in zip(new, shapes, strict=True):
        if shape is None:
            out.text(mask)


def _read_masks(cards: Sequence[bytes], into: Reader) -> list[str]:
    distinct = len(set(cards))
    changed = iter(into.small(len(cards) - distinct))
    seen: set[bytes] = set()
    is_new = []
    for card in cards:
        is_new.append(card not in seen or next(changed) != 0)
        seen.add(card)
    numbers = into.small(sum(is_new))
    if max(numbers, default=0) >= len(BINS) + 2:
        raise Malformed("a card's first digits are not in the list")
    others = iter(into.digits(numbers.count(_OTHER_BIN), 6))
    last4s = iter(into.digits(len(numbers) - numbers.count(_NO_MASK), 4))
    new = iter([_mask(number, others, last4s, into) for number in numbers])
    last: dict[bytes, str] = {}
    masks = []
    for card, told in zip(cards, is_new, strict=True):
        if told:
            last[card] = next(new)
        masks.append(last[card])
    return masks


def _shape(mask: str) -> tuple[str, str] | None:
    """(BIN6, last four) of a mask as journals hold it, ten digits; None for any other text."""
    return (mask[:6], mask[6:]) if len(mask) == 10 and mask.isascii() and mask.isdigit() else None


def _mask(number: int, others: Iterator[int], last4s: Iterator[int], into: Reader) -> str:
    if number == _NO_MASK:
        return into.text()
    first = f"{next(others):06d}" if number == _OTHER_BIN else BINS[number - 2]
    return f"{first}{next(last4s):04d}"


def _write_paid_ats(ats: Sequence[int], paids: Sequence[events.Paid], out: Writer) -> None:
    """The terminal's time behind the row's, against the award before: its clock is steadily wrong."""
    before, steps = 0, []
    for at, paid in zip(ats, paids, strict=True):
        if paid.paid_at is None:
            steps.append(0)
            continue
        behind = at // 1000 - paid.paid_at
        steps.append(zigzag(behind - before) + 1)
        before = behind
    out.wide(steps)


def _read_paid_ats(ats: Sequence[int], into: Reader) -> list[int | None]:
    before, found = 0, list[int | None]()
    for at, step in zip(ats, into.wide(len(ats)), strict=True):
        if step:
            before += unzigzag(step - 1)
        found.append(at // 1000 - before if step else None)
    return found
