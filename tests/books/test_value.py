"""What spending does to the books: holds, redemptions, releases, returns, lapses; and what cannot follow."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from books_of import Books
from hypothesis import given
from hypothesis import strategies as st

from vafa.books import lots, value
from vafa.books.effect import Impossible
from vafa.books.rows import HoldRow, HoldState, LotRow, MemberRow, row_digest
from vafa.books.standing import with_stamp
from vafa.books.till import ACCOUNTS
from vafa.model import events
from vafa.model.events import Event
from vafa.model.lots import Dates, Lot, Taken, came_back, claw_back, lapse, spend, usable
from vafa.model.payment import PaymentKey, Scheme
from vafa.model.standing import Stamp, Standing, pack, unpack

MEMBER, CARD = b"\1\2" + b"m" * 8, b"\1\1\2" + b"c" * 8
PROGRAMME = b"p" * 8
HOLD, OTHER = b"h" * 8, b"o" * 8
NOW, JANUARY, FEBRUARY, JUNE = 1_000, 2_000, 3_000, 9_000
ENROL = events.Enrol(MEMBER, "6789", "test")
ZERO = (0, 1)


def key(number: int) -> PaymentKey:
    return PaymentKey(Scheme.RRN, "C0000301", f"{number:012d}")


def earn(number: int, points: int, balance: int, **fields: Any) -> events.Award:
    """So many points for ten times as many rial."""
    paid = events.Paid(key(number), points * 10, 0, None, 1)
    award = events.Award(paid, MEMBER, "", PROGRAMME, points * 10, (points, 1), ZERO, points, balance, 1)
    return msgspec.structs.replace(award, **fields)


def take(points: int, balance: int, number: int = 0, *drawn: Taken, debt: int = 0) -> events.Adjust:
    """Points taken by hand (below zero: given)."""
    ref = PaymentKey(Scheme.REQUEST, "", f"a-{number}")
    return events.Adjust(MEMBER, -points, debt, None, "test", "why", ref, balance, lots=drawn)


def hold(points: int, name: bytes = HOLD, **fields: Any) -> events.Hold:
    made = events.Hold(name, MEMBER, points, "off", NOW + 900, "till-1", at=NOW)
    return msgspec.structs.replace(made, **fields)


def redeem(points: int, balance: int, *drawn: Taken, **fields: Any) -> events.Redemption:
    done = events.Redemption(HOLD, MEMBER, points, "off", 50, 0, drawn, key(9), NOW, balance)
    return msgspec.structs.replace(done, **fields)


def release(points: int, *drawn: Taken, **fields: Any) -> events.Release:
    return msgspec.structs.replace(events.Release(HOLD, MEMBER, points, "test", lots=drawn), **fields)


def back(
    points: int, seq: int, *given: Any, at: int = NOW, balance: int = 100, **fields: Any
) -> events.RedemptionRefund:
    """So many points of the redemption in row `seq` come back; the balance after it is mostly 100."""
    ref = PaymentKey(Scheme.REQUEST, "", "back-1")
    made = events.RedemptionRefund(
        (1, seq), MEMBER, points, given, "test", HOLD, at=at, ref=ref, balance=balance
    )
    return msgspec.structs.replace(made, **fields)


def lapsed(points: int, at: int, *drawn: Taken) -> events.Expire:
    return events.Expire(MEMBER, points, drawn, at)


def stamped(books: Books, count: int) -> Books:
    """The member has stamps on the coffee card, as an award gives them."""
    row = member(books)
    standing = with_stamp(Standing(), Stamp("coffee", count, NOW))
    books.rows[MemberRow, (MEMBER,)] = msgspec.structs.replace(row, standing=pack(standing))
    return books


def member(books: Books) -> MemberRow:
    row = books.find(MemberRow, (MEMBER,))
    assert row is not None
    return row


def hold_row(books: Books) -> HoldRow:
    row = books.find(HoldRow, (HOLD,))
    assert row is not None
    return row


JAN = earn(1, 100, 100, expires_at=JANUARY)
JAN_LOT = (2, 100, JANUARY)

# (what happens, balance, held, debt, the dated lots left as (seq, points, expires_at))
VECTORS: list[tuple[str, list[Event], int, int, int, list[tuple[int, int, int]]]] = [
    ("earn 100 (January), spend 80, earn 50 for ever: 50 in February",
     [ENROL, JAN, hold(80), redeem(80, 20, (2, 80, JANUARY)), earn(2, 50, 70),
      lapsed(20, FEBRUARY, (2, 20, JANUARY))],
     50, 0, 0, []),
    ("nearest expiry first, then for ever",
     [ENROL, earn(1, 30, 30), earn(2, 20, 50, expires_at=JUNE), earn(3, 10, 60, expires_at=JANUARY),
      hold(35), redeem(35, 25, (4, 10, JANUARY), (3, 20, JUNE))], 25, 0, 0, []),
    ("a hold keeps the balance and sets it aside", [ENROL, JAN, hold(80)], 100, 80, 0, [JAN_LOT]),
    ("a released hold leaves all as it was", [ENROL, JAN, hold(80), release(80)], 100, 0, 0, [JAN_LOT]),
    ("a partial capture: the rest is free before it",
     [ENROL, JAN, hold(80), release(50), redeem(30, 70, (2, 30, JANUARY))], 70, 0, 0, [(2, 70, JANUARY)]),
    ("a correction leaves what is held, the rest is debt",
     [ENROL, earn(1, 100, 100), hold(80), take(50, 80, debt=30)], 80, 80, 30, []),
    ("what comes free pays the debt first",
     [ENROL, earn(1, 100, 100), hold(80), take(50, 80, debt=30), release(80, debt=30)],
     50, 0, 0, []),
    ("and the rest of a partial capture does",
     [ENROL, JAN, hold(80), take(50, 80, 0, (2, 20, JANUARY), debt=30),
      release(50, (2, 30, JANUARY), debt=30), redeem(30, 20, (2, 30, JANUARY))],
     20, 0, 0, [(2, 20, JANUARY)]),
    ("a lapse leaves what is held",
     [ENROL, JAN, hold(80), lapsed(20, FEBRUARY, (2, 20, JANUARY))], 80, 80, 0, [(2, 80, JANUARY)]),
    ("a reversed redemption goes back to its lots with their dates",
     [ENROL, JAN, earn(2, 10, 110), hold(105), redeem(105, 5, (2, 100, JANUARY)),
      back(105, 5, (2, 100, JANUARY, None), balance=110)], 110, 0, 0, [JAN_LOT]),
    ("a lot that lapsed meanwhile is good for some days more",
     [ENROL, JAN, hold(80), redeem(80, 20, (2, 80, JANUARY)),
      back(80, 4, (2, 80, JANUARY, JUNE), at=FEBRUARY)],
     100, 0, 0, [(2, 20, JANUARY), (2, 80, JUNE)]),
    ("points that come back pay a debt first",
     [ENROL, earn(1, 80, 80), hold(80), redeem(80, 0), take(30, 0, debt=30),
      back(80, 4, balance=50, debt=30)],
     50, 0, 0, []),
    ("what two branches of the journal spent of the same points is owed",
     [ENROL, earn(1, 50, 50), hold(50, short=30), redeem(80, 0, debt=30)], 0, 0, 30, []),
    ("and paid when it comes back",
     [ENROL, earn(1, 50, 50), hold(50, short=30), redeem(80, 0, debt=30), back(80, 4, balance=50, debt=30)],
     50, 0, 0, []),
    ("whoever owes already owes all of it",
     [ENROL, take(5, 0, debt=5), hold(0, short=30), redeem(30, 0, debt=30)], 0, 0, 35, []),
    ("a debt blocks nothing that stamps buy",
     [ENROL, take(5, 0, debt=5)], 0, 0, 5, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("history", "balance", "held", "debt", "left"), [v[1:] for v in VECTORS], ids=[v[0] for v in VECTORS]
)
def test_points_are_spent_as_a_shopkeeper_reads_it(
    history: list[Event], balance: int, held: int, debt: int, left: list[tuple[int, int, int]]
) -> None:
    books = Books(*history)
    row = member(books)
    assert (row.balance, row.held, row.debt) == (balance, held, debt)
    assert [(lot.seq, lot.points, lot.expires_at) for lot in lots.unpack(row.lots)] == left
    assert row.next_expiry == min((at for *_, at in left), default=None)
    assert (books.till.member, books.till.debt) == (balance, debt)
    assert sum(getattr(books.till, account) for account in ACCOUNTS) == 0
    assert books.hash == sum(map(row_digest, books.rows.values())) % 2**256
    assert books.identity_fault() == ""


SPENT = [ENROL, earn(1, 100, 100), hold(80), redeem(80, 20)]
DATED = [ENROL, JAN, hold(80), redeem(80, 20, (2, 80, JANUARY))]

# (what happened before, what cannot follow, why)
IMPOSSIBLE: list[tuple[list[Event], Event, str]] = [
    ([ENROL, JAN, hold(10)], hold(10), "this hold was made before"),
    ([], hold(10), "the holder of the points is unknown"),
    ([earn(1, 10, 10, holder=CARD, claim="1")], hold(5, holder=CARD), "only a member may redeem"),
    ([ENROL], hold(0), "a hold holds something"),
    ([ENROL, JAN], hold(40, short=1), "a hold falls short only of what is not there"),
    ([ENROL, JAN, hold(80)], redeem(80, 20, (2, 80, JANUARY), debt=1), "a capture takes what is held"),
    ([ENROL], hold(-1, stamps=(("coffee", 1),)), "a hold is not below zero"),
    ([ENROL, take(5, 0, debt=5)], hold(1), "a debt blocks redeeming"),
    ([ENROL, JAN], hold(101), "more is held than can be used"),
    ([ENROL, JAN, hold(60)], hold(41, OTHER), "more is held than can be used"),
    ([ENROL, earn(1, 100, 100, available_at=NOW + 1)], hold(1), "more is held than can be used"),
    ([ENROL], hold(0, stamps=(("coffee", 1),)), "the stamp card is not full"),
    ([ENROL, JAN], redeem(80, 20, (2, 80, JANUARY)), "no such open hold"),
    (SPENT, redeem(80, 0), "no such open hold"),
    ([ENROL, JAN, hold(80), release(80)], redeem(80, 20, (2, 80, JANUARY)), "no such open hold"),
    ([ENROL, JAN, hold(80)], redeem(81, 19, (2, 81, JANUARY)), "a capture takes what is held"),
    ([ENROL, JAN, hold(80)], redeem(79, 21, (2, 79, JANUARY)), "a capture takes what is held"),
    ([ENROL, JAN, hold(80)], redeem(80, 20, (2, 80, JANUARY), amount=-1), "money taken off is not below"),
    ([ENROL, JAN, hold(80)], redeem(80, 21, (2, 80, JANUARY)), "the balance is not the one after the red"),
    ([ENROL, JAN, hold(80)], redeem(80, 20), "the lots drawn from are not those the rules give"),
    ([ENROL, JAN, hold(80)], release(81), "more is released than is held"),
    ([ENROL, JAN, hold(80)], release(0), "a part of a hold is of points"),
    ([ENROL, earn(1, 100, 100), hold(80), take(50, 80, debt=30)], release(80), "pay the debt first"),
    ([ENROL, JAN, hold(80)], release(80, (2, 1, JANUARY)), "nothing was drawn"),
    (SPENT, back(81, 4), "more comes back than was redeemed"),
    (SPENT, back(80, 3), "the redemption is in another row"),
    ([*SPENT, back(80, 4)], back(0, 4, ref=PaymentKey(Scheme.REQUEST, "", "b")), "no such redemption"),
    (SPENT, back(80, 4, ref=None), "an identity of its own"),
    (SPENT, back(40, 4, stamps=(("coffee", 1),)), "stamps come back with the whole redemption"),
    (SPENT, back(80, 4, (2, 80, JANUARY, None)), "a lot they were not drawn from"),
    (DATED, back(80, 4, (2, 80, JANUARY, JUNE)), "only a lot that lapsed gets another date"),
    (DATED, back(80, 4, (2, 80, JANUARY, NOW), at=FEBRUARY), "a date that is past"),
    (DATED, back(10, 4, (2, 80, JANUARY, None)), "more comes back to lots than comes back"),
    (SPENT, back(80, 4, balance=99), "the balance is not the one after the return"),
    (SPENT, events.AwardRefund(key(8), (1, 4), MEMBER, 80, (), "test", HOLD), "was of another sale"),
    ([ENROL, JAN], lapsed(99, FEBRUARY, (2, 99, JANUARY)), "what lapses is not what lapsed by then"),
    ([ENROL, JAN], lapsed(100, NOW, (2, 100, JANUARY)), "what lapses is not what lapsed by then"),
]


@pytest.mark.parametrize(("history", "event", "why"), IMPOSSIBLE)
def test_what_cannot_follow_is_impossible_and_says_why(history: list[Event], event: Event, why: str) -> None:
    books = Books(*history)
    before = dict(books.rows)
    with pytest.raises(Impossible, match=re.escape(why)):
        books.take(event)
    assert books.rows == before


def test_every_condition_is_in_the_table() -> None:
    source = Path(str(value.__file__)).read_text("utf-8")
    conditions = len(re.findall(r"^ +require\(|raise Impossible\(", source, re.MULTILINE))
    # never below zero is kept by the hold before it: nothing reaches that condition
    assert conditions <= len({why for *_, why in IMPOSSIBLE})


def test_stamps_leave_their_card_with_the_hold_and_come_back_with_its_release() -> None:
    cup = (("coffee", 12),)
    books = stamped(Books(ENROL), 13)
    books.take(hold(0, stamps=cup))
    assert unpack(member(books).standing).stamp("coffee").count == 1
    with pytest.raises(Impossible, match="not full"):
        books.take(hold(0, OTHER, stamps=cup))
    books.take(release(0, stamps=cup))
    assert unpack(member(books).standing).stamp("coffee").count == 13


def test_a_cup_taken_back_is_stamps_again() -> None:
    cup = (("coffee", 12),)
    books = stamped(Books(ENROL), 12)
    books.take(hold(0, stamps=cup))
    books.take(redeem(0, 0))
    books.take(back(0, 3, balance=0, stamps=cup))
    assert unpack(member(books).standing).stamp("coffee").count == 12
    assert hold_row(books).state == HoldState.RETURNED


def test_a_lot_row_remembers_what_was_drawn_until_it_is_back() -> None:
    books = Books(*DATED)
    assert books.find(LotRow, (MEMBER, 2, JANUARY)) == LotRow(MEMBER, 2, JANUARY, 80, 0, PROGRAMME)
    books.take(back(30, 4, (2, 30, JANUARY, None), balance=50))
    assert books.find(LotRow, (MEMBER, 2, JANUARY)) == LotRow(MEMBER, 2, JANUARY, 50, 0, PROGRAMME)
    books.take(back(50, 4, (2, 50, JANUARY, None), ref=PaymentKey(Scheme.REQUEST, "", "back-2")))
    assert books.find(LotRow, (MEMBER, 2, JANUARY)) is None


def test_a_sale_that_goes_back_takes_its_own_lot_first() -> None:
    ref = PaymentKey(Scheme.REQUEST, "", "v-1")
    void = events.Reversal(
        key(2), ref, 500, 500, MEMBER, PROGRAMME, (50, 1), ZERO, 50, 0, None, "test", 100,
        lots=((3, 50, JUNE),), expires_at=JUNE,
    )  # fmt: skip
    books = Books(ENROL, JAN, earn(2, 50, 150, expires_at=JUNE), void)
    assert lots.unpack(member(books).lots) == [Lot(JANUARY, 2, 100, 0, PROGRAMME)]


def test_what_is_more_than_a_member_may_owe_is_forgiven() -> None:
    ref = PaymentKey(Scheme.REQUEST, "", "v-1")
    void = events.Reversal(
        key(1), ref, 1_000, 1_000, MEMBER, PROGRAMME, (100, 1), ZERO, 100, 50, None, "test", 0, forgiven=30
    )
    books = Books(ENROL, earn(1, 100, 100), hold(80), redeem(80, 20), void)
    assert (member(books).balance, member(books).debt) == (0, 50)
    assert (books.till.clawed, books.till.debt) == (20, 50)


LOTS = (Lot(JANUARY, 1, 10, 0), Lot(JUNE, 2, 20, 0), Lot(JUNE, 3, 5, FEBRUARY), Lot(0, 4, 7, FEBRUARY))

# (what draws, what it drew, from the undated points)
DRAWS: list[tuple[Any, tuple[Taken, ...], int]] = [
    (spend(LOTS, 60, 15, NOW), ((1, 10, JANUARY), (2, 5, JUNE)), 0),
    (spend(LOTS, 60, 40, NOW), ((1, 10, JANUARY), (2, 20, JUNE)), 10),
    (spend(LOTS, 60, 50, NOW), ((1, 10, JANUARY), (2, 20, JUNE), (3, 2, JUNE)), 18),
    (spend(LOTS, 60, 33, FEBRUARY), ((1, 10, JANUARY), (2, 20, JUNE), (3, 3, JUNE)), 0),
    (claw_back(LOTS, 60, 6, Dates(FEBRUARY, JUNE, b"")), ((3, 5, JUNE), (2, 1, JUNE)), 0),
    (claw_back(LOTS, 60, 20, Dates(0, 0, b"")), ((1, 2, JANUARY),), 18),
    (lapse(LOTS, 60, FEBRUARY), ((1, 10, JANUARY),), 0),
    (lapse(LOTS, 4, FEBRUARY), ((1, 4, JANUARY),), 0),
    (lapse(LOTS, 60, JANUARY - 1), (), 0),
]


@pytest.mark.parametrize(("draw", "taken", "undated"), DRAWS)
def test_the_law_of_drawing(draw: Any, taken: tuple[Taken, ...], undated: int) -> None:
    assert (draw.taken, draw.undated) == (taken, undated)
    assert sum(lot.points for lot in draw.kept) == 42 - sum(points for _, points, _ in taken)


some_lots = st.lists(
    st.builds(Lot, st.sampled_from([0, JANUARY, FEBRUARY, JUNE]), st.integers(1, 9), st.integers(1, 30),
              st.sampled_from([0, NOW, JUNE])),
    max_size=6, unique_by=lambda lot: (lot.seq, lot.expires_at),
)  # fmt: skip


@given(some_lots, st.integers(0, 50), st.integers(0, 250), st.sampled_from([NOW, JANUARY, JUNE]))
def test_no_draw_goes_below_zero_or_past_a_lot_that_lapses_sooner(
    there: list[Lot], loose: int, points: int, at: int
) -> None:
    balance = loose + sum(lot.points for lot in there)
    draw = spend(there, balance, points, at)
    assert draw.points == min(points, balance)
    left = {(lot.seq, lot.expires_at): lot.points for lot in draw.kept}
    assert all(part > 0 for part in left.values())
    drawn = {(seq, expires_at): part for seq, part, expires_at in draw.taken}
    for lot in there:
        place = (lot.seq, lot.expires_at)
        assert left.get(place, 0) + drawn.get(place, 0) == lot.points
        if lot.usable(at) and left.get(place):  # what is left lapses no sooner than anything usable drawn
            later = [each for each in there if each.usable(at) and each.draw_order > lot.draw_order]
            assert all((each.seq, each.expires_at) not in drawn for each in later)
            assert draw.undated == 0


def test_what_is_pending_or_set_aside_cannot_be_used() -> None:
    assert [usable(LOTS, 60, held, at) for held, at in ((0, NOW), (8, NOW), (99, NOW), (0, FEBRUARY))] == [
        48, 40, 0, 60,
    ]  # fmt: skip


@pytest.mark.parametrize("parts", [(100,), (1, 99), (30, 30, 40), (99, 1), (20,) * 5])
def test_a_redemption_that_comes_back_in_parts_comes_back_as_the_whole(parts: tuple[int, ...]) -> None:
    taken = ((1, 40, JANUARY), (2, 35, JUNE))
    whole = came_back(taken, 100, 0, 100, FEBRUARY, JUNE + 9)
    assert whole == (((2, 35, JUNE, None), (1, 40, JANUARY, JUNE + 9)), 25)
    sums, undated, already = {1: 0, 2: 0}, 0, 0
    for part in parts:
        given, loose = came_back(taken, 100, already, part, FEBRUARY, JUNE + 9)
        assert loose + sum(points for _, points, *_ in given) == part
        for seq, points, *_ in given:
            sums[seq] += points
        undated += loose
        already += part
    assert (sums, undated) == ({1: 40, 2: 35}, 25)
