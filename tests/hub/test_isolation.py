"""A merchant never reads or touches another's data, whatever ids it says, at any endpoint or by any verb."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hub.device_rows import busy, journal, sold
from hub.served import Answered, Hub, Till
from shop import PROGRAMME, Shop

from vafa.club.programme import parse
from vafa.hub import codes, devices, forks, merchants, published, roster, suspense
from vafa.model.errors import NotFound
from vafa.wire.messages import (
    ENROL_PATH,
    SYNC_PATH,
    EnrolAnswer,
    Mark,
    Reason,
    ReceiptMessage,
    Refusal,
    SyncAnswer,
)


def everything_of(hub: Hub, merchant: str) -> dict[str, list[Any]]:
    """Every row of one merchant, in every table."""
    with hub.database.transaction() as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_version'"
        ).fetchall()
        return {
            name: sorted(
                connection.execute(
                    f"SELECT * FROM {name} WHERE merchant_id = %s".encode(), (merchant,)
                ).fetchall(),
                key=repr,
            )
            for (name,) in tables
        }


@pytest.fixture
def theirs(hub: Hub, shop: Shop) -> Till:
    """Another merchant's device, with a day's journal, rules, messages, a code."""
    till = Till(hub, b"victim")
    merchant = hub.merchant("the other shop")
    till.enrol(hub.code(merchant))
    busy(shop)
    till.sync(shop)
    with hub.database.transaction() as connection:
        published.publish(connection, merchant, parse(PROGRAMME), None, hub.now_ms)
        published.say(connection, merchant, ReceiptMessage(0, b"", "سپاس", "", None, None), hub.now_ms)
    hub.code(merchant)
    return till


@pytest.fixture
def ours(hub: Hub) -> Till:
    """Our merchant's device, of the same number."""
    till = Till(hub, b"ours", b"O" * 16)
    till.enrol(hub.code(hub.merchant("our shop")))
    return till


Attempt = Callable[[Till, Till, Shop], Answered]


def _named(theirs: Till, ours: Till, shop: Shop) -> Answered:
    """Our request, in their name."""
    ours.merchant = theirs.merchant
    return ours.ask(SYNC_PATH, ours.request(journal(shop), None))


def _relabelled(theirs: Till, ours: Till, shop: Shop) -> Answered:
    """Their own signed request, made out to us."""
    body, nonce = theirs.body(SYNC_PATH, theirs.request([], journal(shop)[-1]))
    return ours.say(SYNC_PATH, body.replace(theirs.merchant.encode(), ours.merchant.encode()), nonce)


def _their_keys(theirs: Till, ours: Till, shop: Shop) -> Answered:
    """New keys of ours for their device."""
    ours.merchant, ours.ledger_id = theirs.merchant, theirs.ledger_id
    return ours.ask(ENROL_PATH, ours.enrol_request(""))


@pytest.mark.parametrize("attempt", [_named, _relabelled, _their_keys])
def test_in_another_s_name_nothing_is_answered(
    hub: Hub, theirs: Till, ours: Till, shop: Shop, attempt: Attempt
) -> None:
    before = everything_of(hub, theirs.merchant)
    said = attempt(theirs, ours, shop)
    assert isinstance(said.content, Refusal)
    assert said.content.reason == Reason.BAD_SIGNATURE
    assert theirs.merchant.encode() not in said.body
    assert everything_of(hub, theirs.merchant) == before


def test_their_rows_sent_as_ours_stay_with_us(hub: Hub, theirs: Till, ours: Till, shop: Shop) -> None:
    before = everything_of(hub, theirs.merchant)
    said = ours.ask(SYNC_PATH, ours.request(journal(shop), None, whole=True))
    assert isinstance(said.content, SyncAnswer)
    assert said.content.suspense > 0  # it opens another ledger than the one that enrolled
    assert everything_of(hub, theirs.merchant) == before


def test_their_place_in_the_journal_is_none_of_ours(hub: Hub, theirs: Till, ours: Till, shop: Shop) -> None:
    rows = journal(shop)
    said = ours.ask(SYNC_PATH, ours.request(rows[-1:], rows[-2]))
    assert isinstance(said.content, SyncAnswer)
    assert said.content.received == Mark()


def test_nothing_of_theirs_comes_down_to_us(hub: Hub, theirs: Till, ours: Till) -> None:
    said = ours.ask(SYNC_PATH, ours.request([], None))
    assert isinstance(said.content, SyncAnswer)
    content = said.content
    assert (content.programmes, content.members, content.messages, content.notes) == ((), (), (), ())


def test_our_code_takes_no_device_of_theirs(hub: Hub, theirs: Till, ours: Till) -> None:
    before = everything_of(hub, theirs.merchant)
    thief = Till(hub, b"thief", theirs.ledger_id)
    said = thief.enrol(hub.code(ours.merchant), previous=(theirs.merchant, theirs.device))
    assert isinstance(said.content, EnrolAnswer)
    assert (said.content.merchant, said.content.device) == (ours.merchant, 2)
    assert everything_of(hub, theirs.merchant) == before


def test_our_code_under_their_id_is_no_code(hub: Hub, theirs: Till, ours: Till) -> None:
    code = hub.code(ours.merchant).replace("-", "")
    before = everything_of(hub, theirs.merchant)
    said = Till(hub, b"x", b"X" * 16).enrol(theirs.merchant + code[len(theirs.merchant) :])
    assert isinstance(said.content, Refusal)
    assert said.content.reason == Reason.CODE_UNKNOWN
    after = everything_of(hub, theirs.merchant)
    del before["enrol_tries"], after["enrol_tries"]  # the try is counted, nothing else happened
    assert after == before


def test_no_verb_reaches_over(hub: Hub, theirs: Till, ours: Till, shop: Shop) -> None:
    before = everything_of(hub, theirs.merchant)
    with hub.database.transaction() as connection:
        members = roster.find(connection, theirs.merchant, "", 10)
        assert members
        (message,) = published.messages(connection, theirs.merchant)
        code = codes.codes(connection, theirs.merchant)[-1]
    mine = ours.merchant
    with hub.database.transaction() as connection:
        assert roster.find(connection, mine, "", 10) == []
        assert roster.holders(connection, mine, [each.member for each in members]) == []
        assert roster.batches(connection, mine, 0, 10) == []
        assert codes.revoke(connection, mine, code.name) == []
        assert published.versions(connection, mine) == []
        assert suspense.rows(connection, mine, 1, 10) == []
        assert forks.payments(connection, mine, 1).count == 0
        assert forks.accept(connection, mine, 1, hub.now_ms) == []
        devices.revoke(connection, mine, 1, hub.now_ms)
        merchants.keep_token_key(connection, mine, b"xx", b"stolen")
        merchants.close(connection, mine, hub.now_ms)
    with pytest.raises(NotFound), hub.database.transaction() as connection:
        published.cancel(connection, mine, message[1].id)
    assert everything_of(hub, theirs.merchant) == before
    sold(shop, 1, 320062690000)
    assert theirs.sync(shop).received.seq == journal(shop)[-1].seq


def test_the_same_member_at_two_merchants_is_two(hub: Hub, theirs: Till, ours: Till, shop: Shop) -> None:
    """The same ids under both, as when one key leaked: sums never cross."""
    rows = journal(shop)
    ours_too = Till(hub, b"again", theirs.ledger_id)
    ours_too.enrol(hub.code(ours.merchant))
    ours_too.ask(SYNC_PATH, ours_too.request(rows, None))
    with hub.database.transaction() as connection:
        here = roster.find(connection, ours.merchant, "", 10)
        there = roster.find(connection, theirs.merchant, "", 10)
    assert [each.balance for each in here] == [each.balance for each in there]
    assert [till.device for each in here for till in each.tills] == [2] * len(here)
    assert msgspec.structs.asdict(here[0])["member"] == there[0].member
