"""What the books keep for rules beyond a rate: dated lots, rights, stamps, the tier's metric, budgets."""

from typing import Any

import msgspec
import pytest
from books_of import Books

from vafa.books import lots
from vafa.books.effect import Impossible
from vafa.books.rows import BudgetRow, MemberRow, row_digest
from vafa.books.standing import counted_in
from vafa.model import events, standing
from vafa.model.events import Counted
from vafa.model.lots import Lot
from vafa.model.payment import PaymentKey, Scheme

MEMBER = b"\1\2" + b"m" * 8
PROGRAMME = b"p" * 8
ENROL = events.Enrol(MEMBER, "6789", "test")
OLD_AWARD = bytes.fromhex("9a")  # ten fields, as every award before the rules


def key(number: int) -> PaymentKey:
    return PaymentKey(Scheme.RRN, "C0000301", f"{number:012d}")


def plain(number: int = 1, after: int = 10, **fields: Any) -> events.Award:
    """105 rial at 1 per 10: ten points, half a point over."""
    paid = events.Paid(key(number), 105, 0, None, 1)
    award = events.Award(paid, MEMBER, "", PROGRAMME, 105, (21, 2), (0, 1), 10, after, 1)
    return msgspec.structs.replace(award, **fields)


def member(books: Books) -> MemberRow:
    row = books.find(MemberRow, (MEMBER,))
    assert row is not None
    return row


def test_a_plain_award_has_the_body_it_always_had() -> None:
    body = events.encode(plain())
    assert body[:1] == OLD_AWARD
    assert events.decode(events.Kind.AWARD, body) == plain()
    assert not events.has_grown(plain())


def test_an_award_with_rules_is_read_back_and_leaves_out_what_says_nothing() -> None:
    award = plain(at=1_767_000_000, visits=0, tier="gold")
    body = events.encode(award)
    assert events.has_grown(award)
    assert events.decode(events.Kind.AWARD, body) == award
    assert body[:3] == b"\xdc\x00\x12"  # eighteen fields, the last one that speaks being the tier


def test_a_member_s_row_keeps_its_digest_when_columns_are_added() -> None:
    row = MemberRow(MEMBER, 1, "6789", 7, 40, 0, b"\x90", 3, 1_000)
    assert f"{row_digest(row):064x}"[:16] == DIGEST_OF_THE_FIRST_RELEASE


DIGEST_OF_THE_FIRST_RELEASE = "4723ab65657e7d6e"


def test_awards_of_equal_dates_are_one_lot_and_undated_points_are_in_none() -> None:
    books = Books(ENROL, plain(1, 10, expires_at=2_000), plain(2, 21, carry=(1, 2), points=11))
    books.take(plain(3, 31, expires_at=2_000))
    assert lots.unpack(member(books).lots) == [Lot(2_000, 2, 20, 0, PROGRAMME)]
    assert (member(books).balance, member(books).next_expiry) == (31, 2_000)


def test_lots_are_drawn_nearest_expiry_first_then_oldest_never_expiring_last() -> None:
    packed = lots.pack([Lot(0, 1, 5, 9), Lot(300, 2, 5), Lot(200, 9, 5), Lot(200, 3, 5)])
    assert [lot.seq for lot in lots.unpack(packed)] == [3, 9, 2, 1]


def test_visits_stamps_rights_and_the_day_are_remembered() -> None:
    first = plain(1, 10, at=5_000, day=739_000, stamps=(("coffee", 1),), granted=(("birthday", 1405),))
    books = Books(ENROL, first)
    after = standing.unpack(member(books).standing)
    assert (after.first_at, after.last_at, after.day, after.day_points) == (5_000, 5_000, 739_000, (21, 2))
    assert after.stamp("coffee") == standing.Stamp("coffee", 1, 5_000)
    assert after.period_of("birthday") == 1405
    second = plain(2, 21, at=6_000, day=739_000, carry=(1, 2), points=11, visits=1)
    books.take(msgspec.structs.replace(second, standing=member(books).standing))
    after = standing.unpack(member(books).standing)
    assert (after.first_at, after.last_at, after.day_points) == (5_000, 6_000, (21, 1))


@pytest.mark.parametrize("wrong", [{"standing": b"\x91\x07"}, {"visits": 3}, {"tier": "gold"}])
def test_an_award_decided_on_another_state_of_its_member_cannot_follow(wrong: dict[str, Any]) -> None:
    with pytest.raises(Impossible):
        Books(ENROL, plain(1, 10, at=5_000, **wrong))


def test_a_void_takes_stamps_and_rights_back_and_the_metric_out_of_its_period() -> None:
    granted, stamps = (("birthday", 1405),), (("coffee", 1),)
    books = Books(
        ENROL, plain(1, 10, at=5_000, stamps=stamps, granted=granted, counted=Counted(1, 1405, 105))
    )
    assert standing.unpack_window(member(books).metric) == standing.Window(1, ((1405, 105),))
    ref = PaymentKey(Scheme.REQUEST, "", "v-1")
    void = events.Reversal(key(1), ref, 105, 105, MEMBER, PROGRAMME, (21, 2), (1, 2), 10, 0, None, "test", 0)
    minus = Counted(1, 1405, -105)
    books.take(msgspec.structs.replace(void, stamps=stamps, granted=granted, counted=minus))
    after = standing.unpack(member(books).standing)
    assert (after.stamp("coffee").count, after.period_of("birthday")) == (0, None)
    window = standing.unpack_window(member(books).metric)
    assert window is not None
    assert window.total(0) == 0


def test_a_metric_forgets_what_left_its_window_and_begins_anew_as_another_kind() -> None:
    packed = counted_in(b"", Counted(1, 10, 5))
    packed = counted_in(packed, Counted(1, 40, 7, since=11))
    assert standing.unpack_window(packed) == standing.Window(1, ((40, 7),))
    assert standing.unpack_window(counted_in(packed, Counted(2, 1405, 1))) == standing.Window(2, ((1405, 1),))
    assert counted_in(packed, Counted(2, 1405, -1)) == packed


def test_a_budget_counts_what_was_contributed_and_refuses_another_before() -> None:
    books = Books(ENROL, plain(1, 10, budget=(0, 1)))
    assert books.find(BudgetRow, (PROGRAMME,)) == BudgetRow(PROGRAMME, 21, 2)
    with pytest.raises(Impossible):
        books.take(plain(2, 21, carry=(1, 2), points=11, budget=(0, 1)))


def test_a_profile_tells_the_birthday_and_who_sent_them_and_a_name_alone_changes_no_row() -> None:
    books = Books(ENROL)
    before = member(books)
    books.take(events.Profile(MEMBER, 1, None, b"", None, "test"))
    assert member(books) == before
    books.take(events.Profile(MEMBER, 2 | 8 | 16, None, b"r" * 10, (12, 30), "test", 9_000))
    known = standing.unpack(member(books).standing)
    assert (known.birthday, known.referrer, known.feedback_at) == ((12, 30), b"r" * 10, 9_000)


def test_a_tier_changes_from_the_one_before_only() -> None:
    books = Books(ENROL, events.TierChanged(MEMBER, "", "gold", 300_000, "reached", 7_000, PROGRAMME))
    assert (member(books).tier, member(books).tier_since) == ("gold", 7_000)
    with pytest.raises(Impossible):
        books.take(events.TierChanged(MEMBER, "silver", "gold", 0, "reached", 8_000, PROGRAMME))


@pytest.mark.parametrize("paid_at", [None, 0, 1, -5, 1_767_000_000])
@pytest.mark.parametrize("now", [1, 1_767_000_060])
def test_the_instant_rules_go_by_is_read_back_whatever_the_clocks_said(paid_at: int | None, now: int) -> None:
    paid = msgspec.structs.replace(plain().paid, paid_at=paid_at)
    award = plain(paid=paid, at=events.instant_of_rules(paid, now))
    assert award.at
    body = events.encode(award)
    assert events.decode(events.Kind.AWARD, body) == award
    assert len(body) <= len(events.encode(plain(paid=paid))) + (1 if paid_at is not None else 5)


def test_an_award_whose_rules_looked_at_nothing_follows_any_standing() -> None:
    books = Books(ENROL, plain(1, 10, at=5_000))
    books.take(plain(2, 21, at=6_000, carry=(1, 2), points=11, visits=1, standing=standing.NOT_LOOKED_AT))
    after = standing.unpack(member(books).standing)
    assert (after.first_at, after.last_at) == (5_000, 6_000)
