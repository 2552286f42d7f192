"""A device that joins a merchant whose key is another one: what was known before is found, nothing moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import HASHED, HINTED, Shop, payment

from vafa.app import joining
from vafa.app.joining import merge_own_members, open_epoch_as
from vafa.app.recheck import seal_faults
from vafa.keys.device_key import DeviceKey
from vafa.keys.tokens import Tokens
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import Verified
from vafa.model import events
from vafa.model.events import Kind
from vafa.model.pan import CardHint

MERCHANT_KEY = b"m" * 32
PHONE, OTHER_PHONE = "09121236789", "09351112233"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.ledger.close()


def join(shop: Shop, device: int = 3) -> tuple[int, int]:
    shop.tokens.adopt(MERCHANT_KEY)
    open_epoch_as(shop.ledger, device, shop.tokens.key_id, "test")
    return merge_own_members(shop.ledger, shop.tokens, shop.sealer)


def merges(shop: Shop) -> list[events.Event]:
    return shop.ledger.read(lambda c: [each.event for each in reads.entries(c, 0, (Kind.MERGE,))])


def sound(shop: Shop) -> Verified:
    verified = shop.verified()
    assert verified.bad == ()
    return verified


def test_a_member_of_before_is_found_by_phone_and_keeps_one_balance(shop: Shop) -> None:
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    shop.counter.post(payment(1), member)
    assert join(shop) == (1, 0)
    assert shop.members.id_of(PHONE) == member
    assert not shop.members.add(PHONE, "", "test").created
    outcome = shop.counter.post(payment(2), shop.members.known_id(PHONE))
    assert (outcome.member, outcome.balance) == (member, 21)  # 10.5 and 10.5
    assert [view.balance for view in shop.members.find(PHONE)] == [21]
    sound(shop)


def test_the_merchant_s_id_of_a_member_of_before_shows_that_member(shop: Shop) -> None:
    shop.members.add(PHONE, "", "test")
    join(shop)
    merged = shop.tokens.member_id("+989121236789")
    assert shop.members.show(merged).phone == "0912•••6789"
    assert merges(shop) == [events.Merge(merged, shop.members.id_of(PHONE), 0, "enrolment")]


def test_who_joins_afterwards_has_the_merchant_s_id_and_is_no_alias(shop: Shop) -> None:
    join(shop)
    view = shop.members.add(OTHER_PHONE, "", "test")
    assert bytes.fromhex(view.id)[:2] == shop.tokens.key_id != shop.tokens.own_key_id
    assert merge_own_members(shop.ledger, shop.tokens, shop.sealer) == (0, 0)
    assert merges(shop) == []


@pytest.mark.parametrize("card", [HASHED, HINTED])
def test_a_card_of_before_is_known_by_the_device_s_own_key(shop: Shop, card: object) -> None:
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    first = shop.counter.post(payment(1, card=card))
    shop.members.bind(member, first.number, "test")
    join(shop)
    assert shop.counter.post(payment(2, card=card)).member == member


def test_points_that_wait_on_a_card_go_on_waiting_in_one_place_and_are_claimed_together(shop: Shop) -> None:
    first = shop.counter.post(payment(1, card=HASHED))
    join(shop)
    shop.counter.post(payment(2, card=HASHED))
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    claimed = shop.members.claim(first.claim, member, "test")
    assert (claimed.payments, claimed.points) == (2, 21)
    assert shop.counter.post(payment(3, card=HASHED)).member == member
    sound(shop)


def test_a_payment_heard_before_and_after_is_posted_once_though_its_reference_hides_a_card(
    shop: Shop,
) -> None:
    hidden = "order 6219861034529007"
    assert "6219861034529007" not in (before := shop.tokens.without_pans(hidden))
    join(shop)
    assert shop.tokens.without_pans(hidden) == before


def test_numbers_on_paper_keep_the_device_number_they_were_printed_with(shop: Shop) -> None:
    before = shop.counter.post(payment(1))
    join(shop, device=3)
    after = shop.counter.post(payment(2))
    assert (before.number[:4], after.number[:4]) == ("1-1-", "3-2-")
    assert shop.counter.post(payment(1)).number == before.number


def test_the_new_epoch_names_the_head_it_follows_and_is_opened_once(shop: Shop) -> None:
    head = shop.ledger.head
    shop.tokens.adopt(MERCHANT_KEY)
    assert open_epoch_as(shop.ledger, 3, shop.tokens.key_id, "test")
    assert not open_epoch_as(shop.ledger, 3, shop.tokens.key_id, "test")
    opened = shop.ledger.read(lambda c: reads.entry(c, shop.ledger.head.seq)).event
    assert isinstance(opened, events.EpochOpened)
    assert opened.before == (head.epoch, head.seq, head.hash)
    assert (opened.ledger_id, opened.device) == (b"L" * 16, 3)


def test_the_first_device_gives_its_key_and_changes_nothing(shop: Shop) -> None:
    shop.members.add(PHONE, "", "test")
    rows = shop.ledger.head.seq
    shop.tokens.adopt(shop.tokens.own_key)
    assert not open_epoch_as(shop.ledger, 1, shop.tokens.key_id, "test")
    assert merge_own_members(shop.ledger, shop.tokens, shop.sealer) == (0, 0)
    assert shop.ledger.head.seq == rows


def test_a_merge_cut_off_between_slices_goes_on_where_it_stopped(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "SLICE_MEMBERS", 2)
    for number in range(5):
        shop.members.add(f"0912000000{number}", "", "test")
    shop.tokens.adopt(MERCHANT_KEY)
    write, left = shop.ledger.write, [2]

    def cut(decide: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return write(decide)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.ledger, "write", cut)
    with pytest.raises(KeyboardInterrupt):
        merge_own_members(shop.ledger, shop.tokens, shop.sealer)
    monkeypatch.setattr(shop.ledger, "write", write)
    assert len(merges(shop)) == 4
    assert merge_own_members(shop.ledger, shop.tokens, shop.sealer) == (1, 0)
    assert len(merges(shop)) == 5
    sound(shop)


def test_a_phone_that_does_not_open_is_counted_and_the_others_are_merged(shop: Shop) -> None:
    for phone in (PHONE, OTHER_PHONE):
        shop.members.add(phone, "", "test")
    lost = shop.members.id_of(PHONE)
    shop.ledger._ready().execute("UPDATE secret SET phone = x'00' WHERE member = ?", (lost,))
    assert join(shop) == (1, 1)
    assert shop.members.known_id(PHONE) == lost  # found all the same, by the device's own key


def test_verify_knows_the_sealed_phones_of_both_keys(shop: Shop) -> None:
    shop.members.add(PHONE, "", "test")
    join(shop)
    shop.members.add(OTHER_PHONE, "", "test")
    connection = connect_reader(shop.ledger.path)
    try:
        assert seal_faults(connection, DeviceKey(b"k" * 32)) == (2, [])
    finally:
        connection.close()


def test_ids_of_two_devices_of_one_merchant_are_the_same() -> None:
    first = DeviceKey(b"1" * 32)
    other = Tokens(DeviceKey(b"2" * 32), Tokens(first).own_key)
    assert other.member_id("+989121236789") == Tokens(first).member_id("+989121236789")
    assert other.card_tokens(HASHED)[0] == Tokens(first).card_tokens(HASHED)[0]


def tokens_of(shop: Shop, member: bytes) -> list[bytes]:
    return shop.ledger.read(lambda c: [row.token for row in reads.tokens_of_member(c, member)])


@pytest.mark.parametrize("card", [HASHED, HINTED])
def test_a_card_of_before_gets_the_merchant_s_token_when_it_is_seen_again_and_once(
    shop: Shop, card: CardHint
) -> None:
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    first = shop.counter.post(payment(1, card=card))
    shop.members.bind(member, first.number, "test")
    (own,) = tokens_of(shop, member)
    join(shop)
    rows = []
    for number in (2, 3):
        before = shop.ledger.head.seq
        assert shop.counter.post(payment(number, card=card)).member == member
        rows.append(shop.ledger.head.seq - before)
    assert rows == [2, 1]  # the award and the binding, then the award alone
    assert tokens_of(shop, member) == [own, shop.tokens.card_tokens(card)[0]]
    sound(shop)


def test_a_card_that_belongs_to_somebody_else_by_the_merchant_s_key_is_not_bound_again(shop: Shop) -> None:
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    first = shop.counter.post(payment(1, card=HASHED))
    shop.members.bind(member, first.number, "test")
    join(shop)
    other = bytes.fromhex(shop.members.add(OTHER_PHONE, "", "test").id)
    merchant = shop.tokens.card_tokens(HASHED)[0]
    shop.ledger.write(lambda tx: tx.post(events.Bind(other, merchant, "test")))
    shop.counter.post(payment(2, card=HASHED))
    assert merchant not in tokens_of(shop, member)
