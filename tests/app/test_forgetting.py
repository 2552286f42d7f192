"""Whom another device of the merchant forgot is forgotten here, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import HASHED, Shop, payment

from vafa.app import forgetting
from vafa.app.profiles import Profiles
from vafa.books.rows import MemberState
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound
from vafa.wire.messages import Forgotten

PHONE, OTHER = "09121236789", "09351112233"
ELSEWHERE = 2


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    it = Shop(tmp_path)
    yield it
    it.ledger.close()


def joined(shop: Shop, phone: str = PHONE) -> bytes:
    return bytes.fromhex(shop.members.add(phone, "Sara", "test").id)


def told(member: bytes, seq: int = 9, device: int = ELSEWHERE) -> list[Forgotten]:
    return [Forgotten(member, device, 1, seq)]


def is_member(shop: Shop, member: bytes) -> bool:
    row = shop.ledger.read(lambda c: reads.holder(c, member))
    return row is not None and row.state == MemberState.ACTIVE


def sealed(shop: Shop) -> list[tuple[bytes, bytes]]:
    return shop.ledger.read(lambda c: c.execute("SELECT member, phone FROM secret").fetchall())


def test_phone_and_name_are_gone_byte_for_byte_and_points_stay_under_the_bare_id(shop: Shop) -> None:
    member = joined(shop)
    shop.counter.post(payment(1, 1050, card=HASHED), member)
    shop.members.bind(member, str(1), "test")
    ((_, phone),) = sealed(shop)
    assert forgetting.heard(shop.ledger, told(member)) == 1
    assert sealed(shop) == []
    with pytest.raises(NotFound):
        shop.members.show(shop.members.own_id(PHONE))
    row = shop.ledger.read(lambda c: reads.holder(c, member))
    assert row is not None
    assert (row.balance, row.last4) == (105, "")
    assert shop.ledger.read(lambda c: reads.tokens_of_member(c, member)) == []
    shop.restart()
    assert not any(phone in file.read_bytes() for file in shop.directory.glob("ledger.db*"))
    assert not shop.verified().bad


def test_the_same_row_told_again_forgets_nobody_who_joined_again(shop: Shop) -> None:
    member = joined(shop)
    forgetting.heard(shop.ledger, told(member))
    joined(shop)
    assert forgetting.heard(shop.ledger, told(member)) == 0
    assert is_member(shop, member)
    assert forgetting.heard(shop.ledger, told(member, seq=10)) == 1, "a later row is another asking"


def test_who_joins_after_it_was_heard_of_a_stranger_stays(shop: Shop) -> None:
    """Heard of nobody known, it writes no row of the journal, and is heard all the same."""
    stranger = bytes.fromhex(shop.members.add(OTHER, "", "t").id)
    Profiles(shop.members).forget(stranger, "asked here", "t")
    before = shop.ledger.head.seq
    assert forgetting.heard(shop.ledger, told(stranger)) == 0
    assert shop.ledger.head.seq == before
    shop.restart()
    joined(shop, OTHER)
    assert forgetting.heard(shop.ledger, told(stranger)) == 0
    assert is_member(shop, stranger)


def test_all_ids_that_the_person_answers_by_here_are_forgotten(shop: Shop) -> None:
    member, alias = joined(shop), joined(shop, OTHER)
    shop.ledger.write(lambda tx: tx.post(events.Merge(member, alias, 1, "test")))
    assert forgetting.heard(shop.ledger, told(alias)) == 1
    assert not is_member(shop, member)
    assert not is_member(shop, alias)
    assert sealed(shop) == []


def test_our_own_row_that_comes_back_to_us_changes_nothing(shop: Shop) -> None:
    member = joined(shop)
    Profiles(shop.members).forget(member, "asked", "test")
    ours = shop.ledger.head.seq
    joined(shop)
    assert forgetting.heard(shop.ledger, told(member, ours, device=1)) == 0
    assert is_member(shop, member)


def test_a_row_under_our_number_that_this_journal_lost_counts(shop: Shop) -> None:
    member = joined(shop)
    assert forgetting.heard(shop.ledger, told(member, 99, 1)) == 1


def test_a_restored_backup_hears_it_again(shop: Shop, tmp_path: Path) -> None:
    from vafa.ledger import upkeep

    member = joined(shop)
    upkeep.copy(shop.ledger.path, tmp_path / "backup.db")
    forgetting.heard(shop.ledger, told(member))
    shop.ledger.close()
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    (tmp_path / "backup.db").rename(shop.ledger.path)
    shop.open()
    assert sealed(shop)
    assert forgetting.heard(shop.ledger, told(member)) == 1
    assert sealed(shop) == []


def test_a_failure_in_the_middle_notes_and_forgets_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = joined(shop)
    post = Transaction.post

    def failing(tx: Transaction, event: events.Event) -> object:
        if isinstance(event, events.Forget):
            raise OSError("no")
        return post(tx, event)

    monkeypatch.setattr(Transaction, "post", failing)
    with pytest.raises(OSError, match="no"):
        forgetting.heard(shop.ledger, told(member))
    monkeypatch.undo()
    assert sealed(shop)
    assert forgetting.heard(shop.ledger, told(member)) == 1
