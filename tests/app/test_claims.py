"""A claim equals having enrolled first: of everything the rules would have given, no more and no less."""

from pathlib import Path

import msgspec
import pytest
from rich_shop import faults
from shop import HASHED, HINTED, TID, Shop, payment

from vafa.app.recheck import Recheck
from vafa.app.undo import Undo, Undoing, Wish
from vafa.books import lots
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.ledger.rebuild import Rebuild
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import find_row
from vafa.model import events
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme
from vafa.model.standing import unpack

PHONE = "09121236789"


def undo(shop: Shop, kind: Undoing, sale: str, ref: str, amount: int | None = None) -> None:
    key, own = (PaymentKey(Scheme.RRN, TID, each) for each in (sale, ref))
    Undo(shop.counter).undo(Wish(kind, key, own, amount, None, "test"))


def test_a_claim_beside_a_voided_purchase_verifies(shop: Shop) -> None:
    """What waits on a card is one floor: which purchase or void had which point of it does not matter."""
    for number in (1, 2):
        waiting = shop.counter.post(payment(number, card=HASHED))  # 10.5 each: 10, then 11
    undo(shop, Undoing.VOID, "1", "v")
    assert shop.members.claim(waiting.claim, shop.joined(PHONE), "test").points == 10
    assert faults(shop) == ()


RULED = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[expiry]
months = 6
[bonus.hello]
kind = "first-purchase"
points = 5
[bonus.birthday]
kind = "birthday"
extra = 100
[stamp.cup]
name_fa = "فنجان"
needed = 12
"""


def ruled(directory: Path) -> Shop:
    directory.mkdir(exist_ok=True)
    shop = Shop(directory)
    shop.programmes.activate(parse(RULED), 0)
    return shop


def row_of(shop: Shop, member: bytes) -> MemberRow:
    found = shop.ledger.read(lambda c: find_row(c, MemberRow, (member,)))
    assert found is not None
    return found


@pytest.mark.parametrize("card", [HASHED, HINTED])
def test_a_claim_by_rules_gives_what_joining_first_would_have(tmp_path: Path, card: CardHint) -> None:
    """Two shops: the one's customer joined before, the other's claims both purchases afterwards."""
    first, later = ruled(tmp_path / "first"), ruled(tmp_path / "later")
    member = first.joined(PHONE)
    for number in (1, 2):
        first.counter.post(payment(number, card=card), member)
    codes = [later.counter.post(payment(number, card=card)).claim for number in (1, 2)]
    assert later.joined(PHONE) == member
    for code in codes[:1] if card is HASHED else codes:
        later.members.claim(code, member, "test")
    one, other = row_of(first, member), row_of(later, member)
    assert one.balance == 26  # twice 10.5, and the welcome once
    told = [
        (row.balance, row.carry, row.visits, row.spent, unpack(row.standing),
         [(lot.expires_at, lot.points) for lot in lots.unpack(row.lots)])
        for row in (one, other)
    ]  # fmt: skip
    assert told[0] == told[1]
    assert faults(later) == ()
    first.ledger.close()
    later.ledger.close()


def test_a_refund_after_a_claim_by_rules_goes_by_what_the_claim_gave(tmp_path: Path) -> None:
    shop = ruled(tmp_path)
    code = shop.counter.post(payment(1, card=HINTED)).claim  # nobody's: no welcome
    undo(shop, Undoing.REFUND, "1", "r1", 35)
    member = shop.joined(PHONE)
    assert shop.members.claim(code, member, "test").points == 10  # 7 and two thirds of the welcome, whole
    undo(shop, Undoing.VOID, "1", "v")
    row = row_of(shop, member)
    assert (row.balance, row.debt, row.visits, row.lots) == (0, 0, 0, b"")
    assert unpack(row.standing).stamp("cup").count == 0
    assert faults(shop) == ()
    shop.ledger.close()


def test_an_award_altered_in_a_claim_does_not_verify(tmp_path: Path) -> None:
    shop = ruled(tmp_path)
    code = shop.counter.post(payment(1, card=HINTED)).claim
    shop.members.claim(code, shop.joined(PHONE), "test")
    connection = connect_reader(shop.ledger.path)
    recheck = Recheck(connection)
    books = Rebuild(connection)
    found = ""
    for each in reads.entries(connection):
        event = each.event
        if isinstance(event, events.Claim):
            assert event.award is not None
            wrong = msgspec.structs.replace(event.award, fixed=6)
            event = msgspec.structs.replace(event, award=wrong)
        found = found or recheck(event, books)
    assert "claim of payment" in found
    connection.close()
    shop.ledger.close()
