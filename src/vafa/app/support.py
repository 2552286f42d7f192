"""What support asks about one sale: why, explain, receipt; on the daemon's connection or a read-only one.

Every answer is derived anew from the journal: the time line from its rows, the arithmetic from stored inputs
and the programme of the stored hash, the paper from the outcome the first answer was made of.
"""

import sqlite3
from collections.abc import Iterator, Mapping

import msgspec

from vafa.app.explaining import Explaining
from vafa.app.live import SaleTimes
from vafa.app.offer_words import offer_moments
from vafa.app.outcome import Outcome, outcome_at
from vafa.app.paper import Paper
from vafa.app.programmes import parsed
from vafa.app.questions import Explained, Lines, Moment, Several, WhyIs
from vafa.app.sale_search import Sale, find, result, several, undoing_named
from vafa.app.status import iso
from vafa.app.undo import Undoing, Undone, undone_at
from vafa.books.rows import HoldRow
from vafa.club.programme import Programme
from vafa.ledger import reads, value
from vafa.ledger.reads import Entry
from vafa.model import events
from vafa.model.errors import NotFound
from vafa.model.events import Kind, KnownBy, SaleOutcome
from vafa.model.identity import MEMBER_ID_BYTES, is_strong
from vafa.model.pan import mask_pans
from vafa.model.payment import Scheme, Source
from vafa.receipt import words
from vafa.receipt.catalogue import mark, say
from vafa.receipt.numerals import identifier, number
from vafa.receipt.slip import Number, Slip

_HEARD = {
    Source.LIVE: "the terminal's answer",
    Source.POLLED: "the terminal's journal",
    Source.LOCAL: "the local protocol",
    Source.RECORDED: "entered by hand",
    Source.LIVE_AFTER_LIST: "the terminal's answer",
    Source.LOOKED_UP: "the terminal's journal",
}
_KNOWN = {
    KnownBy.PHONE: "named by phone",
    KnownBy.CARD: "known by the card",
    KnownBy.HINT: "guessed from the card's first six and last four digits",
}
_UNDONE = {
    Undoing.VOID: mark("voided by {number}: {rials} rial went back, {points} points were taken back"),
    Undoing.REFUND: mark("refunded by {number}: {rials} rial went back, {points} points were taken back"),
}


class Versions:
    """Programme versions out of the journal of a connection: Paper's source when there is no daemon."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def by_id(self, programme: bytes) -> Programme:
        """The version an award names. NotFound."""
        return parsed(self._connection, programme)


def why(
    connection: sqlite3.Connection, text: str, zone: str, now_ms: int, times: Mapping[int, SaleTimes]
) -> WhyIs | Several:
    """One sale as a time line. `times`: journal row -> when the daemon heard and wrote it."""
    sales = find(connection, text, zone, now_ms)
    if len(sales) > 1:
        return several(sales)
    sale = sales[0]
    start_ms = sale.first.row.at
    moments = tuple(
        Moment(iso(int(at_ms)), round(at_ms - start_ms, 1), what, detail, row)
        for at_ms, what, detail, row in _moments(connection, sale, times)
    )
    answer = WhyIs(
        number=sale.number,
        terminal=sale.terminal,
        amount=sale.amount,
        at=iso(start_ms),
        result=result(sale),
        moments=moments,
    )
    if sale.paid is None:
        return answer
    paid = _decision(sale.paid)
    steps, mismatch = Explaining(connection).steps(paid)
    programme = _programme_id(sale.paid)
    return msgspec.structs.replace(
        answer,
        steps=(
            *(words.step(step.code, step.values, "en") for step in steps),
            *(_undone_line(each, "en") for each in _undone(connection, sale) if not mismatch),
        ),
        mismatch=mismatch,
        programme=programme.hex(),
        programme_from=_programme_from(connection, programme),
    )


def explain(
    connection: sqlite3.Connection, text: str, lang: str, zone: str, now_ms: int
) -> Explained | Several:
    """The arithmetic of a payment's points in words, recomputed; and of the claim that moved them."""
    sales = find(connection, text, zone, now_ms)
    if len(sales) > 1:
        return several(sales)
    paid = _paid(sales[0])
    explaining, event = Explaining(connection), _decision(paid)
    steps, mismatch = explaining.steps(event)
    lines = [*words.text(Slip((Number(sales[0].number),)), lang, zone)]
    lines += explaining.lines(event, steps, lang)
    claim = _claim_of(connection, paid)
    undone = _undone(connection, sales[0])
    if claim is not None and not mismatch:
        more, mismatch = explaining.claimed(claim, paid, lang)
        lines += more
        event = claim.event.award if isinstance(claim.event, events.Claim) and claim.event.award else event
    if not mismatch:
        lines += [_undone_line(each, lang) for each in undone]
    return Explained(
        number=sales[0].number,
        points=event.points if isinstance(event, events.Award) else 0,
        programme=_programme_id(paid).hex(),
        lines=tuple(lines),
        mismatch=mismatch,
        taken=sum(each.points for each in undone),
    )


def receipt(
    connection: sqlite3.Connection, text: str, lang: str | None, paper: Paper, zone: str, now_ms: int
) -> Lines | Several:
    """What the paper said, from the outcome the first answer was made of; also of its voids and refunds.

    The number of a void or refund shows its own paper alone.
    """
    undoing = undoing_named(connection, text)
    if undoing is not None:
        return _undone_paper(undone_at(connection, undoing), lang, paper)
    sales = find(connection, text, zone, now_ms)
    if len(sales) > 1:
        return several(sales)
    outcome: Outcome = outcome_at(connection, _paid(sales[0]))
    undone = tuple(_undone_paper(each, lang, paper) for each in _undone(connection, sales[0]))
    return Lines(number=outcome.number, lines=paper.lines(outcome, lang), undone=undone)


def slip(
    connection: sqlite3.Connection, text: str, paper: Paper, zone: str, now_ms: int
) -> tuple[str, Slip] | Several:
    """(our number, the slip) of a sale, or of a void or refund."""
    undoing = undoing_named(connection, text)
    if undoing is not None:
        undone = undone_at(connection, undoing)
        return undone.number, paper.undone_slip(undone)
    sales = find(connection, text, zone, now_ms)
    if len(sales) > 1:
        return several(sales)
    outcome = outcome_at(connection, _paid(sales[0]))
    return outcome.number, paper.slip(outcome)


def _undone_paper(undone: Undone, lang: str | None, paper: Paper) -> Lines:
    return Lines(number=undone.number, lines=paper.undone_lines(undone, lang))


def _undone(connection: sqlite3.Connection, sale: Sale) -> list[Undone]:
    """The voids and refunds of a sale, oldest first."""
    if sale.payment is None:
        return []
    return [undone_at(connection, each) for each in reads.undoings(connection, sale.payment)]


def _undone_line(undone: Undone, lang: str) -> str:
    return say(
        lang,
        _UNDONE[undone.kind],
        rials=number(undone.amount, lang),
        points=number(undone.points, lang),
        number=identifier(undone.number, lang),
    )


def _paid(sale: Sale) -> Entry:
    if sale.paid is None:
        raise NotFound(
            f"sale {sale.number} has no payment: it is {result(sale)}", fix=f"vafa why {sale.number}"
        )
    return sale.paid


Line = tuple[float, str, str, int]


def _moments(connection: sqlite3.Connection, sale: Sale, times: Mapping[int, SaleTimes]) -> Iterator[Line]:
    """The steps of a sale in order: (UTC ms, what, detail, journal row or 0)."""
    rows = [entry for entry in (sale.asked, *_endings(connection, sale), sale.paid) if entry is not None]
    for entry in sorted(rows, key=lambda each: each.row.seq):
        match entry.event:
            case events.SaleAsked():
                yield _asked_moment(entry)
            case events.SaleEnded(outcome=outcome, response=response):
                words_of_end = SaleOutcome(outcome).name.lower().replace("_", " ")
                yield from _settled_moments(connection, entry)
                detail = f"the terminal's code {response}" if response else ""
                yield entry.row.at, f"ended: {words_of_end}", detail, entry.row.seq
            case _:
                yield from _recorded_moments(connection, entry)
                yield from _paid_moments(entry)
    if sale.paid is not None:
        yield from _live_moments(sale.paid, times.get(sale.paid.row.seq))
    claim = _claim_of(connection, sale.paid) if sale.paid else None
    if claim is not None:
        assert isinstance(claim.event, events.Claim)
        detail = f"by member {claim.event.member.hex()}, {claim.event.by}"
        yield claim.row.at, "claimed", detail, claim.row.seq
    for row in value.redeemed_for(connection, sale.payment.key) if sale.payment else ():
        yield _redeemed_moment(connection, row)
    for each in reads.undoings(connection, sale.payment) if sale.payment else ():
        yield _undone_moment(connection, each)
    yield from _moved_moments(connection, sale)
    if sale.paid is not None:
        yield from offer_moments(connection, sale.paid)


def _moved_moments(connection: sqlite3.Connection, sale: Sale) -> Iterator[Line]:
    """Each time a person moved the purchase to another member."""
    if sale.payment is None:
        return
    for each in reads.entries(connection, sale.payment.seq, (Kind.AWARD_MOVED,)):
        event = each.event
        if isinstance(event, events.AwardMoved) and event.key == sale.payment.key:
            who = f"from member {event.from_holder.hex()} to {event.to_holder.hex()}"
            yield each.row.at, "moved", f"{who}, {event.by}: {event.why}", each.row.seq


def _redeemed_moment(connection: sqlite3.Connection, row: HoldRow) -> Line:
    """The part of a sale that was paid with points."""
    entry = reads.entry(connection, row.ended_seq)
    assert isinstance(entry.event, events.Redemption), "a hold of a sale ended in its redemption"
    back = f", {row.returned:,} came back" if row.returned else ""
    detail = f"{row.captured:,} points for {entry.event.reward}, {entry.event.amount:,} rial{back}"
    return entry.row.at, "redeemed", f"{detail}; request {mask_pans(row.request)}", entry.row.seq


def _undone_moment(connection: sqlite3.Connection, entry: Entry) -> Line:
    event = entry.event
    assert isinstance(event, events.Reversal | events.Refund)
    undone = undone_at(connection, entry)
    debt = f", {undone.debt:,} of them as debt" if undone.debt else ""
    detail = f"{undone.amount:,} rial, {undone.points:,} points taken back{debt}; {undone.number}, {event.by}"
    what = "voided" if isinstance(event, events.Reversal) else "refunded"
    return entry.row.at, what, detail, entry.row.seq


def _endings(connection: sqlite3.Connection, sale: Sale) -> Iterator[Entry]:
    """Each end the sale had: unsure first, perhaps, then what the terminal's journal said."""
    if sale.asked is None or sale.row is None or not sale.row.ended_seq:
        return
    name = (sale.row.tid, sale.row.request)
    for entry in reads.entries(connection, sale.asked.row.seq, (Kind.SALE_ENDED,)):
        if isinstance(entry.event, events.SaleEnded) and entry.event.sale == name:
            yield entry
        if entry.row.seq >= sale.row.ended_seq:
            return


def _asked_moment(asked: Entry) -> Line:
    event = asked.event
    assert isinstance(event, events.SaleAsked)
    claim = f", claim code {event.claim} drawn" if event.claim else ""
    promised = f"{event.points_promised:,} points promised{claim}"
    detail = f"request {mask_pans(event.request)}, order {event.order_id}, {promised}"
    return asked.row.at, "asked", detail, asked.row.seq


def _settled_moments(connection: sqlite3.Connection, ended: Entry) -> Iterator[Line]:
    """Who said that an unsure sale was not paid, and why: the row before its end."""
    before = next(reads.entries(connection, ended.row.seq - 2), ended)
    if isinstance(before.event, events.Recorded) and before.event.key.scheme == Scheme.REQUEST:
        yield before.row.at, "settled", f"by {before.event.by}: {before.event.why}", before.row.seq


def _recorded_moments(connection: sqlite3.Connection, paid: Entry) -> Iterator[Line]:
    """Who entered a sale by hand, and why: the row before its own."""
    if reads.paid_of(paid.event).source != Source.RECORDED:
        return
    before = reads.entry(connection, paid.row.seq - 1)
    if isinstance(before.event, events.Recorded):
        yield before.row.at, "recorded", f"by {before.event.by}: {before.event.why}", before.row.seq


def _paid_moments(entry: Entry) -> Iterator[Line]:
    paid = reads.paid_of(entry.event)
    source = _HEARD[Source(paid.source)] if paid.source in list(Source) else f"source {paid.source}"
    trace = f", trace {paid.trace}" if paid.trace else ""
    yield entry.row.at, "heard", f"{source}: {paid.key.ref}{trace}", 0
    yield entry.row.at, *_decided(entry.event), entry.row.seq


def _live_moments(entry: Entry, times: SaleTimes | None) -> Iterator[Line]:
    """What only the daemon's memory knows: they are counted from the moment it was heard."""
    if times is not None and times.durable_ms is not None:
        yield entry.row.at + times.durable_ms - times.heard_ms, "durable", "committed to the disk", 0
    if times is not None and times.acknowledged_ms is not None:
        yield entry.row.at + times.acknowledged_ms - times.heard_ms, "acknowledged", "to the terminal", 0


def _decided(event: events.Event) -> tuple[str, str]:
    """What was posted, and for whom."""
    if isinstance(event, events.PaymentSeen):
        return "earned nothing", events.Nothing(event.why).name.lower().replace("_", " ")
    assert isinstance(event, events.Award)
    if len(event.holder) == MEMBER_ID_BYTES:
        known = _KNOWN.get(KnownBy(event.known_by), "")
        return "awarded", f"{event.points:,} points to member {event.holder.hex()}, {known}"
    where = "the card" if is_strong(event.holder) else "this payment"
    return "awarded", f"{event.points:,} points wait on {where}, claim code {event.claim}"


def _claim_of(connection: sqlite3.Connection, paid: Entry) -> Entry | None:
    """The Claim that took a payment's points from where they waited."""
    event = paid.event
    if not isinstance(event, events.Award) or not event.claim:
        return None
    payment = reads.payment(connection, event.paid.key)
    if payment is None or len(payment.holder) != MEMBER_ID_BYTES:
        return None
    for entry in reads.entries(connection, paid.row.seq, (Kind.CLAIM,)):
        parts = entry.event.parts if isinstance(entry.event, events.Claim) else ()
        if any(event.paid.key in part.keys for part in parts):
            return entry
    return None


def _decision(paid: Entry) -> events.Award | events.PaymentSeen:
    assert isinstance(paid.event, events.Award | events.PaymentSeen)
    return paid.event


def _programme_id(paid: Entry) -> bytes:
    assert isinstance(paid.event, events.Award | events.PaymentSeen)
    return paid.event.programme


def _programme_from(connection: sqlite3.Connection, programme: bytes) -> str:
    """Since when the version holds; '' from the beginning, or when there is none."""
    found = [row for row in reads.programmes(connection) if row.id == programme]
    return iso(found[0].from_at * 1000) if found and found[0].from_at is not None else ""
