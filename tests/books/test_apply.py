"""What an event does to the books, on a state of plain dictionaries; and each thing that cannot follow."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from books_of import Books

from vafa.books import apply as rules
from vafa.books import undo
from vafa.books.effect import Impossible, floor_sum, fraction_left
from vafa.books.rows import AliasRow, BranchRow, Carry, MemberRow, row_digest
from vafa.books.till import ACCOUNTS
from vafa.model import events
from vafa.model.events import Event, SaleOutcome
from vafa.model.payment import PaymentKey, Scheme

MEMBER, OTHER = b"\1\2" + b"m" * 8, b"\1\2" + b"o" * 8
THIRD = b"\1\2" + b"t" * 8
CARD = b"\1\1\2" + b"c" * 8
PROGRAMME = b"p" * 8


def key(number: int) -> PaymentKey:
    return PaymentKey(Scheme.RRN, "C0000301", f"{number:012d}")


def paid(number: int) -> events.Paid:
    return events.Paid(key(number), 105, 0, None, 1)


def award(number: int = 1, **fields: Any) -> events.Award:
    """105 rial to the member, ten points and a half."""
    good = events.Award(paid(number), MEMBER, "", PROGRAMME, 105, (21, 2), (0, 1), 10, 10, 1)
    return msgspec.structs.replace(good, **fields)


def claim(token: bytes = CARD, number: int = 1, **fields: Any) -> events.Claim:
    """The member claims the card's one waiting payment."""
    part = events.Claimed(PROGRAMME, (key(number),), 105, (21, 2), (0, 1), 10, 10)
    return events.Claim(MEMBER, "482917", token, (msgspec.structs.replace(part, **fields),), "test")


def refund(**fields: Any) -> events.Refund:
    """35 of the member's 105 rial go back: three points and a half of ten and a half."""
    good = events.Refund(key(1), REQUEST, 35, 35, MEMBER, PROGRAMME, (7, 2), (1, 2), 3, 0, None, "test", 7)
    return msgspec.structs.replace(good, **fields)


def void(**fields: Any) -> events.Reversal:
    """All of the member's 105 rial go back."""
    good = events.Reversal(
        key(1), REQUEST, 105, 105, MEMBER, PROGRAMME, (21, 2), (1, 2), 10, 0, None, "test", 0
    )
    return msgspec.structs.replace(good, **fields)


def adjust(points: int, debt: int, balance: int, number: int = 0) -> events.Adjust:
    ref = PaymentKey(Scheme.REQUEST, "", f"a-{number}")
    return events.Adjust(MEMBER, points, debt, None, "test", "a reason", ref, balance)


def merge(**fields: Any) -> events.Merge:
    """The other member answers as the member, as the hub's first order."""
    return msgspec.structs.replace(events.Merge(MEMBER, OTHER, 1, "test"), **fields)


REQUEST = PaymentKey(Scheme.REQUEST, "C0000301", "r-1")
AGAIN = PaymentKey(Scheme.REQUEST, "C0000301", "r-2")
OPENED = events.EpochOpened(b"L" * 16, 1, None, b"\1\2", "test")
ENROL = events.Enrol(MEMBER, "6789", "test")
BIND = events.Bind(MEMBER, CARD, "test")
WAITING = award(holder=CARD, claim="482917")
LOOSE = award(holder=b"", claim="482917", balance=0)
ASKED = events.SaleAsked("C0000301", "r-1", 105, 0, "o", "", b"", b"", b"", 0, "")
BASELINE = events.Baseline("C0000301", "000009", 3)
GAP = events.GapDetected("C0000301", "1", "9", "poll")


def ended(outcome: SaleOutcome, request: str = "r-1") -> events.SaleEnded:
    return events.SaleEnded(("C0000301", request), outcome)


# (what happened before, what cannot follow, why)
IMPOSSIBLE: list[tuple[list[Event], Event, str]] = [
    ([], events.SpendRights(0, 0, b""), "written by a newer Vafa"),
    ([], events.Forget(MEMBER, "x", "y"), "no such member to forget"),
    ([ENROL], events.Forget(MEMBER, "x", "y", (CARD,)), "none of the member's"),
    ([ASKED], ASKED, "asked for before"),
    ([ASKED], ended(SaleOutcome.APPROVED, "r-2"), "never asked for"),
    ([ASKED, ended(SaleOutcome.DECLINED)], ended(SaleOutcome.APPROVED), "has ended before"),
    ([ENROL, award()], events.PaymentSeen(paid(1), 1), "was posted before"),
    ([events.PaymentSeen(paid(1), 1)], award(), "was posted before"),
    ([ENROL, award()], award(carry=(1, 2), balance=20), "was posted before"),
    ([ENROL], award(points=11, balance=11), "points are not floor"),
    ([ENROL], award(claim="482917"), "if and only if there is a claim code"),
    ([ENROL], award(holder=CARD), "if and only if there is a claim code"),
    ([], award(), "the award's member is unknown"),
    ([ENROL, award()], award(2, balance=20), "the award's carry is not the member's"),
    ([ENROL], award(balance=11), "the balance is not the one before"),
    ([ENROL], ENROL, "joined before"),
    ([ENROL, BIND], BIND, "bound already"),
    ([], BIND, "the card's member is unknown"),
    ([WAITING], claim(), "the claiming member is unknown"),
    ([ENROL, award(), award(2, holder=CARD, claim="1")], claim(number=2), "the claim's carry"),
    ([ENROL, WAITING], claim(points_in=11), "claimed points are not floor"),
    ([ENROL, WAITING], claim(number=2), "does not wait for this claim"),
    ([ENROL, WAITING], claim(b""), "does not wait for this claim"),
    ([ENROL, WAITING, claim()], claim(carry=(1, 2), points_in=11), "does not wait for this claim"),
    ([ENROL, WAITING], claim(points_out=9), "does not take what waits on the card"),
    ([ENROL, LOOSE], claim(b"", keys=(key(1), key(1))), "names a payment twice"),
    ([], events.GapClosed((1, 1), "x", "y"), "never detected"),
    ([BASELINE], BASELINE, "baseline was set before"),
    ([ENROL, award()], void(amount=104), "a reversal takes all that is left"),
    ([ENROL, award()], refund(amount=106), "more is refunded than is left"),
    ([ENROL], refund(), "cannot be undone"),
    ([ENROL, award(), void()], refund(ref=AGAIN, carry=(0, 1)), "cannot be undone"),
    ([ENROL, award(), refund()], void(key=REQUEST, ref=AGAIN), "cannot be undone"),
    ([ENROL, award()], refund(holder=OTHER), "held by somebody else"),
    ([ENROL, award(), refund()], refund(carry=(0, 1), points=4, balance=3), "was posted before"),
    ([ENROL, award()], refund(ref=key(1)), "was posted before"),
    ([ENROL, award()], refund(points=4), "points are not the difference of the floor"),
    ([ENROL, award()], refund(debt=4), "a debt is part of what was to be taken"),
    ([ENROL, award()], refund(debt=1, balance=8), "not what the balance falls short of"),
    ([ENROL, award()], refund(lots=((1, 3, 9),)), "the lots drawn from are not those the rules give"),
    ([ENROL, LOOSE], refund(holder=b""), "points that wait on their payment are all there"),
    ([ENROL, award()], refund(carry=(0, 1), points=4), "the carry is not the holder's"),
    ([ENROL, award()], refund(balance=8), "the balance is not the one before - points"),
    ([ENROL, award()], refund(offers=(b"o" * 8,)), "offers come back with the whole sale alone"),
    ([], adjust(5, 0, 5), "the adjusted member is unknown"),
    ([ENROL], adjust(5, 1, 5), "giving points leaves no debt"),
    ([ENROL], adjust(5, 0, 6), "the balance is not the one after the adjustment"),
    ([], merge(member=CARD), "joins two member ids"),
    ([], merge(alias=MEMBER), "no alias of itself"),
    ([merge()], merge(member=OTHER, alias=THIRD, order=2), "an alias of another one"),
    ([merge()], merge(order=1), "was merged before"),
    ([merge()], events.Unmerge(THIRD, OTHER, 2, "test"), "none of this member"),
    ([merge()], events.Unmerge(MEMBER, OTHER, 1, "test"), "a newer merge stands"),
    ([GAP, events.GapClosed((1, 1), "x", "y")], events.GapClosed((1, 1), "x", "y"), "closed already"),
]


@pytest.mark.parametrize(("history", "event", "why"), IMPOSSIBLE)
def test_what_cannot_follow_is_impossible_and_says_why(history: list[Event], event: Event, why: str) -> None:
    books = Books(*history)
    before = dict(books.rows)
    with pytest.raises(Impossible, match=re.escape(why)):
        books.take(event)
    assert books.rows == before


def test_every_condition_of_apply_is_in_the_table() -> None:
    source = "".join(Path(str(each.__file__)).read_text("utf-8") for each in (rules, undo))
    conditions = len(re.findall(r"^ +require\(|raise Impossible\(", source, re.MULTILINE))
    # "was posted before" is said four times; no payment is held by a row that is not there
    assert conditions <= len({why for *_, why in IMPOSSIBLE}) + 3


HALF_LATER = claim(number=2, carry=(1, 2), points_in=11)  # its half point and the member's make one

# (what happens, the member's balance, what is carried)
POSSIBLE: list[tuple[list[Event], int, tuple[int, int]]] = [
    ([ENROL], 0, (0, 1)),
    ([ENROL, award()], 10, (1, 2)),
    ([ENROL, award(), award(2, carry=(1, 2), points=11, balance=21)], 21, (0, 1)),
    ([WAITING, ENROL, claim()], 10, (1, 2)),
    ([LOOSE, ENROL, claim(b"")], 10, (1, 2)),
    ([ENROL, award(), award(2, holder=CARD, claim="1"), HALF_LATER], 21, (0, 1)),
    ([ENROL, award(), refund()], 7, (0, 1)),
    ([ENROL, award(), void()], 0, (0, 1)),
    ([ENROL, award(), refund(), void(ref=AGAIN, amount=70, eligible=70, contribution=(7, 1),
                                     carry=(0, 1), points=7)], 0, (0, 1)),
    ([ENROL, award(), adjust(-6, 0, 4), void(debt=6)], 0, (0, 1)),
    ([ENROL, adjust(-6, 6, 0), adjust(5, 0, 0, 1), award(balance=9)], 9, (1, 2)),
    ([ENROL, adjust(-6, 6, 0), WAITING, claim()], 4, (1, 2)),
    ([ENROL, events.RefundUnmatched(REQUEST, 5, 0, None, (), b"", "", "test")], 0, (0, 1)),
    ([ENROL, ASKED, ended(SaleOutcome.UNSURE), ended(SaleOutcome.RESOLVED_UNPAID)], 0, (0, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("history", "balance", "carry"), POSSIBLE)
def test_points_arrive_and_the_postings_balance(
    history: list[Event], balance: int, carry: tuple[int, int]
) -> None:
    books = Books(OPENED, *history)
    member = books.find(MemberRow, (MEMBER,))
    assert member is not None
    assert (member.balance, Carry(member.carry).of(PROGRAMME)) == (balance, carry)
    assert books.till.member == balance
    assert books.identity_fault() == ""
    assert sum(getattr(books.till, account) for account in ACCOUNTS) == 0
    assert books.hash == sum(map(row_digest, books.rows.values())) % rules.STATE_MODULUS


@pytest.mark.parametrize(
    ("carry", "contribution", "points", "left"),
    [
        ((0, 1), (21, 2), 10, (1, 2)),
        ((1, 2), (21, 2), 11, (0, 1)),
        ((2, 3), (1, 6), 0, (5, 6)),
        ((0, 1), (0, 1), 0, (0, 1)),
    ],
)
def test_points_are_the_floor_and_the_rest_is_carried_in_lowest_terms(
    carry: tuple[int, int], contribution: tuple[int, int], points: int, left: tuple[int, int]
) -> None:
    assert (floor_sum(carry, contribution), fraction_left(carry, contribution)) == (points, left)


def test_an_alias_answers_as_the_newest_member_ordered_and_stands_alone_again() -> None:
    books = Books(ENROL, award(), merge())
    before = books.find(MemberRow, (MEMBER,))
    books.take(merge(member=THIRD, order=2))
    row = books.find(AliasRow, (OTHER,))
    assert row is not None
    assert (row.member, row.hub_order) == (THIRD, 2)
    books.take(events.Unmerge(THIRD, OTHER, 3, "test"))
    assert books.find(AliasRow, (OTHER,)) is None
    assert books.find(MemberRow, (MEMBER,)) == before


def test_a_branch_is_counted_forward_only() -> None:
    def checkpoint(seq: int, **fields: Any) -> events.Checkpoint:
        return events.Checkpoint(1, seq, b"s" * 32, "branch_row", b"h" * 32, b"", b"f" * 32, 2, 1, **fields)

    books = Books()
    books.take(checkpoint(60))
    books.take(checkpoint(61, short=7))
    row = books.find(BranchRow, (b"f" * 32,))
    assert row is not None
    assert (row.seq, row.counted, row.known, row.short, row.at_seq) == (61, 4, 2, 7, 2)
    for event in (checkpoint(61), checkpoint(62, left_out=-1), events.Checkpoint(1, 60, b"", "", b"")):
        with pytest.raises(Impossible):
            books.take(event)
