"""Rows that a device lost come back: counted once, verified, whatever it has sold since."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hub.device_rows import busy, copied, journal, sold
from rich_shop import faults
from shop import HASHED, Shop, payment

from vafa.app import forgetting
from vafa.app.offering import Offering
from vafa.app.offering import Wish as Give
from vafa.app.profiles import Profiles
from vafa.app.redeeming import Redeeming
from vafa.app.redeeming import Wish as RedeemWish
from vafa.books.rows import BranchRow, MemberState
from vafa.club.programme import parse
from vafa.ledger import branches, reads
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.errors import SyncError
from vafa.wire.messages import Forgotten

PHONE = "09121236789"


class Two:
    """A device and the one restored from its backup: rows up to `left` are in both."""

    def __init__(self, directory: Path) -> None:
        for name in ("old", "new"):
            (directory / name).mkdir()
        self._directory = directory
        self.old = Shop(directory / "old")
        self.member = bytes.fromhex(self.old.members.add(PHONE, "", "test").id)

    def restore(self) -> None:
        """The backup is of now; the restored device opens an epoch."""
        self.left = self.old.ledger.head.seq
        self.new = copied(self.old, self._directory / "new")
        head, key_id = self.new.ledger.head, self.new.tokens.key_id
        opened = events.EpochOpened(b"L" * 16, 1, (head.epoch, head.seq, head.hash), key_id, "restored")
        self.new.ledger.write(lambda tx: tx.post(opened))
        self.regaining = self.new.regaining

    @property
    def lost(self) -> list[Row]:
        return journal(self.old, self.left)

    def heal(self, slice_rows: int = 50) -> BranchRow:
        rows = self.lost
        for start in range(0, len(rows), slice_rows):
            self.regaining.take(rows[start : start + slice_rows], b"")
        (branch,) = self.new.ledger.read(branches.counted)
        return branch

    def close(self) -> None:
        self.old.ledger.close()
        self.new.ledger.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.close()


def members(shop: Shop) -> dict[bytes, tuple[int, int, int, int]]:
    sql = "SELECT id, balance, debt, visits, spent FROM member"
    return {row[0]: row[1:] for row in shop.ledger.read(lambda c: c.execute(sql).fetchall())}


def test_a_device_that_is_merely_behind_has_all_points_again(two: Two) -> None:
    sold(two.old, 3)
    two.restore()
    busy(two.old)
    branch = two.heal()
    assert faults(two.new) == ()
    assert branch.left_out == branch.short == 0
    assert members(two.new) == members(two.old)
    sums = [shop.ledger.head.till for shop in (two.new, two.old)]
    assert sums[0] == sums[1]


def test_what_a_device_earned_since_stays_and_a_payment_in_both_branches_counts_once(two: Two) -> None:
    two.old.counter.post(payment(1, 1_000), two.member)
    two.restore()
    for number in (2, 3):
        two.old.counter.post(payment(number, 1_000), two.member)
    for number in (3, 4):  # the terminal tells 3 again
        two.new.counter.post(payment(number, 1_000), two.member)
    branch = two.heal()
    assert faults(two.new) == ()
    assert (branch.counted, branch.known, branch.left_out) == (1, 1, 0)
    assert members(two.new)[two.member] == (400, 0, 4, 4_000)


def test_rows_that_come_again_change_nothing(two: Two) -> None:
    two.restore()
    sold(two.old, 4)
    rows = two.lost
    assert two.regaining.take(rows[:3], b"") == 3
    head = two.new.ledger.head
    assert two.regaining.take(rows[:3], b"") == 0
    assert two.new.ledger.head == head
    assert two.regaining.take(rows, b"") == 1
    (branch,) = two.new.ledger.read(branches.counted)
    assert (branch.seq, branch.counted) == (rows[3].seq, 4)
    assert faults(two.new) == ()


def spent(shop: Shop, member: bytes, request: str, points: int) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(RedeemWish(request, member, "off", 10_000, points, "test"))
    counter.capture(request, points * 10, None, "test")


REWARDS = """
schema = 1
[name]
fa = "کافه نگین"
en = "Kafe Negin"
[earn]
points = 1
per = 10
currency = "IRR"
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
points = 1
rial = 10
"""


def test_points_that_both_branches_spent_are_owed_once(two: Two) -> None:
    two.old.programmes.activate(parse(REWARDS), None)
    two.old.counter.post(payment(1, 1_000, paid_at=None), two.member)
    two.restore()
    two.new.programmes.activate(parse(REWARDS), None)  # opening the shop took its own rules again
    spent(two.old, two.member, "old", 80)
    spent(two.new, two.member, "new", 70)
    branch = two.heal()
    assert faults(two.new) == ()
    assert branch.short == 50
    assert members(two.new)[two.member][:2] == (0, 50)
    assert two.new.ledger.head.till.debt == 50
    two.new.counter.post(payment(2, 600, paid_at=None), two.member)
    assert members(two.new)[two.member][:2] == (10, 0)
    assert faults(two.new) == ()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda rows: [rows[0], rows[2]], "does not come after"),
        (lambda rows: rows[1:], "come after no row"),
        (lambda rows: [rows[0], altered(rows[1], at=rows[1].at + 1), *rows[2:]], "does not chain"),
        (lambda rows: [rows[0], altered(rows[1], state=bytes(32)), *rows[2:]], "does not chain"),
    ],
)
def test_rows_that_do_not_follow_change_nothing(
    two: Two, spoil: Callable[[list[Row]], list[Row]], why: str
) -> None:
    two.restore()
    sold(two.old, 4)
    head, rows = two.new.ledger.head, two.lost
    with pytest.raises(SyncError, match=why):
        two.regaining.take(spoil(rows), b"")
    assert two.new.ledger.head == head


def altered(row: Row, **fields: Any) -> Row:
    return msgspec.structs.replace(row, **fields)


def test_whose_phone_was_sealed_on_the_lost_disk_is_sealed_again_when_they_come(two: Two) -> None:
    two.restore()
    other = bytes.fromhex(two.old.members.add("09351112233", "سارا", "test").id)
    two.old.counter.post(payment(1, 1_000), other)
    two.heal()
    assert two.new.members.show(other).phone == "09••••••2233"  # the last four digits are all there is
    assert two.new.members.add("09351112233", "سارا", "test").balance == 100
    seen = two.new.members.show(other)
    assert (seen.name, seen.phone) == ("سارا", "0935•••2233")
    assert faults(two.new) == ()


def test_whoever_was_forgotten_on_the_lost_branch_is_forgotten_again(two: Two) -> None:
    two.restore()
    Profiles(two.old.members).forget(two.member, "asked for it", "test")
    two.heal()
    count = "SELECT count(*) FROM secret"
    assert two.new.ledger.read(lambda c: c.execute(count).fetchone()) == (0,)
    assert two.new.members.find(PHONE) == []
    assert faults(two.new) == ()


OFFERS = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[offer.double]
name_fa = "دو برابر"
valid_days = 3
extra = 100
[offer.off]
name_fa = "تخفیف"
valid_days = 3
discount = 100
[offer.hello]
name_fa = "خوش آمدید"
valid_days = 3
grant = "first-purchase"
points = 7
"""


def offered(two: Two, *names: str) -> list[bytes]:
    """The member holds these, in both branches."""
    two.old.programmes.activate(parse(OFFERS), None)
    giving = Offering(two.old.ledger, two.old.programmes)
    wishes = [Give(f"g-{number}", name, None, 0, "", "", "test") for number, name in enumerate(names)]
    given = [giving.give(two.member, wish).event.offer for wish in wishes]
    two.restore()
    two.new.programmes.activate(parse(OFFERS), None)  # opening the shop took its own rules again
    return given


def off(shop: Shop, member: bytes, offer: bytes, request: str) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(RedeemWish(request, member, "", 1_000, None, "test", offer))
    counter.capture(request, None, None, "test")


def test_an_offer_that_a_purchase_of_each_branch_used_is_used_once(two: Two) -> None:
    offered(two, "double")
    two.old.counter.post(payment(1, 1_000, paid_at=None), two.member)
    two.new.counter.post(payment(2, 1_000, paid_at=None), two.member)
    assert (members(two.old)[two.member][0], members(two.new)[two.member][0]) == (200, 200)
    branch = two.heal()
    assert faults(two.new) == ()
    assert branch.left_out == 0
    assert members(two.new)[two.member][0] == 307  # 200, and 100 with the seven of the first purchase


def test_money_off_that_both_branches_gave_for_one_offer_is_left_out_and_counted(two: Two) -> None:
    (offer,) = offered(two, "off")
    off(two.old, two.member, offer, "old")
    off(two.new, two.member, offer, "new")
    branch = two.heal()
    assert faults(two.new) == ()
    assert branch.left_out == 1


def test_offers_given_used_and_withdrawn_on_the_lost_branch_are_so_again(two: Two) -> None:
    offered(two)
    giving = Offering(two.old.ledger, two.old.programmes)
    names = ("double", "off", "off", "double")
    given = [
        giving.give(two.member, Give(f"o-{number}", name, None, 0, "", "", "test")).event.offer
        for number, name in enumerate(names)
    ]
    two.old.counter.post(payment(1, 1_000, paid_at=None), two.member)
    off(two.old, two.member, given[1], "old")
    giving.withdraw(given[2], "a mistake", "test")
    branch = two.heal()
    assert (faults(two.new), branch.left_out) == ((), 0)
    assert members(two.new) == members(two.old)
    sql = "SELECT offer, spent_seq <> 0 FROM offer ORDER BY offer"
    rows = [shop.ledger.read(lambda c: c.execute(sql).fetchall()) for shop in (two.new, two.old)]
    assert rows[0] == rows[1]
    assert dict(rows[0])[given[3]] == 0


def test_the_number_on_a_slip_of_the_lost_branch_still_finds_its_sale(two: Two) -> None:
    two.restore()
    two.new.counter.post(payment(7, 700), two.member)  # has a number in the new epoch that a slip there had
    number = two.old.counter.post(payment(1, 1_000), two.member).number
    two.heal()
    for text in (number, number.replace("1", "\u06f1")):
        (found,) = two.new.ledger.read(lambda c, t=text: reads.find_sale(c, t))  # type: ignore[misc]
        assert reads.paid_of(found.event).key.ref == "1"
    assert two.new.ledger.read(lambda c: reads.find_sale(c, "1-9-3")) == []


WELCOME = """
schema = 1
[name]
fa = "مغازه"
[earn]
points = 1
per = 10
[bonus.welcome]
kind = "first-purchase"
points = 20
[reward.tea]
kind = "free-item"
name_fa = "چای"
points = 8
"""


def test_a_slip_s_points_that_were_spent_by_its_code_are_so_again(two: Two) -> None:
    two.old.programmes.activate(parse(WELCOME), 0)
    code = two.old.counter.post(payment(1)).claim
    two.restore()
    redeeming = Redeeming(two.old.counter)
    redeeming.hold_of_slip(RedeemWish("t-1", b"", "tea", 0, None, "test"), code)
    redeeming.capture("t-1", None, None, "test")
    branch = two.heal()
    assert (faults(two.new), branch.left_out) == ((), 0)
    assert members(two.new) == members(two.old)
    assert 2 in {row[0] for row in members(two.new).values()}  # ten points less eight, and no welcome


def test_who_joined_on_the_lost_branch_and_was_forgotten_elsewhere_meanwhile_is_forgotten(two: Two) -> None:
    two.restore()
    other = bytes.fromhex(two.old.members.add("09351112233", "", "test").id)
    two.old.counter.post(payment(1, card=HASHED), other)
    two.old.members.bind(other, "1", "test")
    assert forgetting.heard(two.new.ledger, [Forgotten(other, 2, 1, 5)]) == 0
    assert two.heal().left_out == 0
    row = two.new.ledger.read(lambda c: reads.holder(c, other))
    assert row is not None
    assert (row.state, row.balance > 0) == (MemberState.FORGOTTEN, True)
    assert two.new.ledger.read(lambda c: reads.tokens_of_member(c, other)) == []
    assert not faults(two.new)


def test_a_forgetting_that_was_heard_on_both_branches_counts_once(two: Two) -> None:
    two.restore()
    told = [Forgotten(two.member, 2, 1, 5)]
    forgetting.heard(two.old.ledger, told)
    forgetting.heard(two.new.ledger, told)
    two.new.members.add(PHONE, "", "test")
    two.heal()
    row = two.new.ledger.read(lambda c: reads.holder(c, two.member))
    assert row is not None
    assert row.state == MemberState.ACTIVE


def test_a_forgetting_of_the_lost_branch_is_told_on_as_the_row_it_was(two: Two) -> None:
    two.restore()
    Profiles(two.old.members).forget(two.member, "asked", "test")
    lost = two.lost[-1]
    two.heal()
    found = two.new.ledger.read(lambda c: [each.event for each in reads.entries(c, 0, (events.Kind.FORGET,))])
    (event,) = found
    assert isinstance(event, events.Forget)
    assert event.origin == (1, lost.epoch, lost.seq)
