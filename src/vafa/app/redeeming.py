"""Redemptions at the counter, in two phases like money: hold, then capture or release.

A hold sets points aside with a deadline in its row; a capture takes what was really applied and frees the
rest; a release frees all. Everything is decided inside `Ledger.write`, so two connections never spend one
point twice. What a request was answered first is what it is answered again. A check that cannot run refuses
the redemption, never the sale.

A person's points may lie under several ids that answer as one (a merge): then one request holds on each of
them, nearest expiry first over all.
"""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from vafa.app import offer_holds, redeem_words, settling
from vafa.app.counter import Counter
from vafa.app.redeem_reads import redeemed_at, spent_today
from vafa.app.redeem_words import Offered, Quoted, Redeemed
from vafa.app.slip_account import account_of
from vafa.books import lots
from vafa.books.rows import HoldRow, HoldState, MemberRow, MemberState
from vafa.club.programme import Programme, Reward
from vafa.club.rewards import MINUTE_S, Means, No, Quote, cost, quote, reward_of
from vafa.ledger import people, value
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused, VafaError
from vafa.model.lots import spend, undated, usable
from vafa.model.money import Currency
from vafa.model.payment import PaymentKey
from vafa.model.standing import unpack

T = TypeVar("T")
RELEASED = "released"
NOTHING_APPLIED = "nothing was applied"


class Wish(msgspec.Struct, frozen=True):
    """A reward somebody wants.

    request  its identity; member: whose points; bill: rial of the sale, 0 when there is none
    points   of an amount-off: how many; None: as many as can be
    offer    an offer that takes money off, instead of a reward; b'' for none
    """

    request: str
    member: bytes
    reward: str
    bill: int
    points: int | None
    by: str
    offer: bytes = b""


class _Shown(Exception):
    """Ends the transaction of a question, so that nothing of it is written."""

    def __init__(self, answer: Quoted | VafaError) -> None:
        super().__init__("a question")
        self.answer = answer


class Redeeming:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ledger = counter.ledger

    def quotes(self, member: bytes, bill: int) -> Quoted:
        """What a member may have now. Ends what time has ended; sets nothing aside."""
        return self._decided(lambda tx: self._quotes(tx, member, bill))

    def quotes_of_slip(self, code: str, bill: int) -> Quoted:
        """What the points of a claim code may be spent for. Writes nothing: they wait as they did."""

        def decide(tx: Transaction) -> None:
            account = account_of(tx, self._counter.tokens, code, "")
            raise _Shown(self._quotes(tx, account, bill))

        try:
            self._ledger.write(decide)
        except _Shown as shown:
            if isinstance(shown.answer, VafaError):
                raise shown.answer from None
            return shown.answer
        raise AssertionError("it is always shown")

    def hold_of_slip(self, wish: Wish, code: str) -> Redeemed:
        """`hold` for whoever has the claim code, whatever `wish.member` is. A refusal changes nothing."""

        def decide(tx: Transaction) -> Redeemed:
            account = account_of(tx, self._counter.tokens, code, wish.by)
            answer = self._hold(tx, msgspec.structs.replace(wish, member=account))
            if isinstance(answer, VafaError):
                raise answer
            return answer

        return self._ledger.write(decide)

    def hold(self, wish: Wish) -> Redeemed:
        """Set points or stamps aside for a reward, durably and once. Refused with the reason."""
        return self._decided(lambda tx: self._hold(tx, wish))

    def capture(self, request: str, applied: int | None, payment: PaymentKey | None, by: str) -> Redeemed:
        """Spend what `request` holds, durably and once.

        applied  rial that were really taken off, None: all that was held for; the points beyond it are free
        payment  the sale it was for, so that its refund brings the points back
        """
        return self._decided(lambda tx: self._capture(tx, request, applied, payment, by))

    def release(self, request: str, by: str) -> Redeemed:
        """Free what `request` holds. A hold that ended by itself is told so."""

        def decide(tx: Transaction) -> Redeemed:
            rows = self._held(tx, request)
            if not rows:
                return msgspec.structs.replace(redeemed_at(tx.connection, request), seen_before=True)
            for row in rows:
                settling.release(tx, row, row.points, RELEASED, by)
            return redeemed_at(tx.connection, request)

        done = self._decided(decide)
        if done.state in ("captured", "returned"):
            raise Refused(
                f"this redemption was captured ({done.number})", fix=f"vafa redeem return {request}"
            )
        return done

    def _decided(self, decide: Callable[[Transaction], T | VafaError]) -> T:
        """Refusals are raised after the commit: what time had ended by then stays ended."""
        answer = self._ledger.write(decide)
        if isinstance(answer, VafaError):
            raise answer
        return answer

    def _quotes(self, tx: Transaction, member: bytes, bill: int) -> Quoted | VafaError:
        programme = self._counter.programmes.at(tx.at_ms // 1000)
        owners = settling.settle(tx, _owners(tx.connection, member))
        if programme is None:
            return Refused("no programme is active: nothing can be redeemed", fix="vafa programme show")
        means = _means(tx, programme, owners)
        return Quoted(
            balance=sum(row.balance for row in owners),
            usable=means.usable,
            debt=means.debt,
            offered=tuple(_offered(programme, reward, means, bill) for reward in programme.rewards),
            offers=offer_holds.on_bill(tx.connection, owners, bill, tx.at_ms // 1000),
        )

    def _hold(self, tx: Transaction, wish: Wish) -> Redeemed | VafaError:
        again = _held_before(tx, wish)
        if again is not None:
            return again
        now = tx.at_ms // 1000
        if now < value.attested_mark(tx.connection):
            return Refused(
                "the clock stands before a time that was attested: nothing is redeemed till it is right",
                fix="sudo timedatectl set-ntp true",
            )
        owners = settling.settle(tx, _owners(tx.connection, wish.member))
        programme = self._counter.programmes.at(now)
        if wish.offer and programme is not None:
            no = offer_holds.set_aside(tx, wish.offer, owners, programme, _asked(wish, now))
        else:
            no = _reward_held(tx, wish, owners, programme)
        return no if no is not None else redeemed_at(tx.connection, wish.request)

    def _capture(
        self, tx: Transaction, request: str, applied: int | None, payment: PaymentKey | None, by: str
    ) -> Redeemed | VafaError:
        rows = self._held(tx, request)
        if not rows:
            return _captured_before(redeemed_at(tx.connection, request), applied)
        first = settling.hold_event(tx.connection, rows[0])
        taken_off = first.rials if applied is None else applied
        if taken_off > first.rials:
            return Refused(f"{taken_off:,} rials are more than were held for ({first.rials:,})")
        points = self._cost(rows, first, taken_off)
        if not points and not first.stamps and not (first.offer and taken_off):
            for row in rows:
                settling.release(tx, row, row.points, NOTHING_APPLIED, by)
            return redeemed_at(tx.connection, request)
        parts = _parts(rows, points)
        spent = [row.holder for row, part in zip(rows, parts, strict=True) if part or not row.points]
        beside = people.not_among(tx.connection, spent)
        for row, part in zip(rows, parts, strict=True):
            _take(tx, row, part, events.Redemption(
                row.hold, row.holder, part, first.reward, taken_off, Currency.RIAL_CURRENT, (), payment,
                tx.at_ms // 1000, 0, first.programme, by, beside=beside,
            ))  # fmt: skip
            if row.holder in spent:
                taken_off = beside = 0  # told once
        return redeemed_at(tx.connection, request)

    def _cost(self, rows: Sequence[HoldRow], first: events.Hold, taken_off: int) -> int:
        """The points that what was applied takes of what is held; an offer takes none."""
        if first.offer:
            return 0
        reward = reward_of(self._counter.programmes.by_id(first.programme), first.reward)
        assert reward is not None, "a hold's programme has its reward"
        return cost(reward, sum(row.points for row in rows), taken_off)

    def _held(self, tx: Transaction, request: str) -> list[HoldRow]:
        """The open holds of a request, after those whose time is over ended. NotFound for an unknown one."""
        rows = value.holds_of_request(tx.connection, request)
        if not rows:
            raise NotFound(f"nothing is held under {request!r}", fix="hold first; give the same request")
        people_rows = [row for each in rows if (row := tx.find(MemberRow, (each.holder,))) is not None]
        settling.settle(tx, people_rows)
        rows = value.holds_of_request(tx.connection, request)
        return [row for row in rows if row.state == HoldState.OPEN]


def _asked(wish: Wish, now: int) -> events.Hold:
    """What a hold says of the wish alone."""
    return events.Hold(b"", b"", 0, "", 0, wish.request, now, bill=wish.bill, by=wish.by)


def _reward_held(
    tx: Transaction, wish: Wish, owners: Sequence[MemberRow], programme: Programme | None
) -> VafaError | None:
    """Post the holds of a reward; or why it cannot be had."""
    reward = reward_of(programme, wish.reward) if programme is not None else None
    if programme is None or reward is None:
        return NotFound(f"there is no reward {wish.reward!r} now", fix="vafa redeem quote PHONE")
    means = _means(tx, programme, owners)
    quoted = quote(programme, reward, means, wish.bill, wish.points)
    if isinstance(quoted, No):
        return redeem_words.refusal(quoted, reward, means)
    if wish.points is not None and wish.points != quoted.points:
        return Refused(
            f"{wish.points:,} points cannot be redeemed here, {quoted.points:,} can", fix="hold those"
        )
    _post_holds(tx, wish, quoted, programme, owners)
    return None


def _owners(connection: sqlite3.Connection, member: bytes) -> list[MemberRow]:
    owners = [row for row in people.owners(connection, member) if row.state == MemberState.ACTIVE]
    if not owners:
        raise NotFound("this phone belongs to no member here", fix="vafa member add PHONE")
    return owners


def _means(tx: Transaction, programme: Programme, owners: Sequence[MemberRow]) -> Means:
    """What a person has to spend, all their ids together; stamps are the acting one's."""
    now = tx.at_ms // 1000
    return Means(
        usable=sum(_usable(row, now) for row in owners),
        debt=sum(row.debt for row in owners),
        spent_today=spent_today(tx.connection, owners, now, programme.zone)
        if programme.redeem_per_day
        else 0,
        standing=unpack(owners[0].standing),
    )


def _usable(row: MemberRow, now: int) -> int:
    return usable(lots.unpack(row.lots), row.balance, row.held, now)


def _offered(programme: Programme, reward: Reward, means: Means, bill: int) -> Offered:
    quoted = quote(programme, reward, means, bill)
    if isinstance(quoted, No):
        return Offered(reward, no=redeem_words.why_not(quoted, reward, means))
    return Offered(reward, quoted.points, quoted.rials, sum(count for _, count in quoted.stamps))


def _post_holds(
    tx: Transaction, wish: Wish, quoted: Quote, programme: Programme, owners: Sequence[MemberRow]
) -> None:
    """One Hold for each id that points are drawn from; the first says what all of them are worth."""
    now = tx.at_ms // 1000
    until = now + programme.hold_minutes * MINUTE_S
    first = events.Hold(
        b"", b"", 0, quoted.reward, until, wish.request, now, quoted.stamps, programme.id, wish.bill,
        quoted.rials, wish.by,
    )  # fmt: skip
    shares = _shares(owners, quoted.points, now) or [(owners[0].id, 0)]
    for owner, points in shares:
        tx.post(msgspec.structs.replace(first, hold=secrets.token_bytes(8), holder=owner, points=points))
        first = msgspec.structs.replace(first, stamps=(), bill=0, rials=0)


def _shares(owners: Sequence[MemberRow], points: int, now: int) -> list[tuple[bytes, int]]:
    """How many points are held on each id: in the order in which lots are drawn, over all of them."""
    there: list[tuple[tuple[bool, int, int], int, int]] = []
    for place, row in enumerate(owners):
        theirs = lots.unpack(row.lots)
        there += [(lot.draw_order, place, lot.points) for lot in theirs if lot.usable(now)]
        there.append(((True, 1, 0), place, undated(theirs, row.balance)))
    room = [_usable(row, now) for row in owners]
    share = [0] * len(owners)
    for _, place, part in sorted(there):
        taken = min(part, room[place] - share[place], points)
        share[place] += taken
        points -= taken
    return [(row.id, part) for row, part in zip(owners, share, strict=True) if part]


def _parts(rows: Sequence[HoldRow], points: int) -> list[int]:
    """How many of so many points each hold gives, the first as many as it has."""
    parts = []
    for row in rows:
        parts.append(min(row.points, points))
        points -= parts[-1]
    return parts


def _take(tx: Transaction, row: HoldRow, points: int, event: events.Redemption) -> None:
    """Capture so many points of a hold; those beyond are free before."""
    if points < row.points:
        settling.release(tx, row, row.points - points, NOTHING_APPLIED, event.by)
        if not points:
            return
    member = tx.find(MemberRow, (row.holder,))
    assert member is not None, "a hold has a holder"
    draw = spend(lots.unpack(member.lots), member.balance, points, event.at)
    balance = member.balance - points
    tx.post(msgspec.structs.replace(event, lots=draw.taken, balance=balance))


def _held_before(tx: Transaction, wish: Wish) -> Redeemed | VafaError | None:
    """The first answer to a hold's request. Refused when it was for something else."""
    rows = value.holds_of_request(tx.connection, wish.request)
    if not rows:
        return None
    event = settling.hold_event(tx.connection, rows[0])
    owners = {row.id for row in people.owners(tx.connection, wish.member)}
    held = sum(settling.hold_event(tx.connection, row).points for row in rows)
    wanted = event.offer == wish.offer and (bool(wish.offer) or event.reward == wish.reward)
    same = wanted and event.bill == wish.bill and event.holder in owners
    if not same or wish.points not in {None, held}:
        return Refused("this request held something else", fix="give each redemption a request id of its own")
    settling.settle(tx, [row for each in rows if (row := tx.find(MemberRow, (each.holder,))) is not None])
    return msgspec.structs.replace(redeemed_at(tx.connection, wish.request), seen_before=True)


def _captured_before(done: Redeemed, applied: int | None) -> Redeemed | VafaError:
    """The first answer to a capture. Refused when the hold had ended, or another amount was applied."""
    if done.state == "released":
        return Refused(f"this hold has ended ({done.why}): nothing was spent", fix="hold again")
    if applied not in {None, done.applied}:
        return Refused(f"this redemption was captured for {done.applied:,} rials ({done.number})")
    return msgspec.structs.replace(done, seen_before=True)
