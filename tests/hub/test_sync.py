"""`POST /v1/sync` over real HTTP into a real PostgreSQL: what is answered, what is refused, what changes."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from fastapi import Request
from hub.device_rows import busy, copied, journal, sold
from hub.served import Hub, Till, refusal
from hub.test_intake import agrees_with
from shop import Shop, payment

from vafa.hub import contact, devices, merchants, published, web
from vafa.hub.database import Database
from vafa.hub.fleet import fleet
from vafa.hub.lines import lines_of
from vafa.keys.sign import SigningKey, is_signed
from vafa.model import events
from vafa.wire import limits, signing
from vafa.wire.compress import Form, varint
from vafa.wire.messages import (
    ENROL_PATH,
    SYNC_PATH,
    Content,
    Envelope,
    Facts,
    Have,
    Mark,
    Reason,
    ReceiptMessage,
    SyncAnswer,
    SyncRequest,
)


def stored(hub: Hub) -> dict[str, int]:
    """How many rows each table of the hub has."""
    with hub.database.transaction() as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()[0][0]
            for (name,) in tables
        }


def test_a_day_goes_up_and_both_sides_agree(hub: Hub, till: Till, shop: Shop) -> None:
    busy(shop)
    answer = till.sync(shop)
    head = journal(shop)[-1]
    assert answer.received == Mark(head.epoch, head.seq, head.hash[:8])
    assert (answer.whole_rows, answer.more, answer.notes) == (False, False, ())
    agrees_with(hub.database, shop, till.merchant)
    sold(shop, 3, 320062640000)
    till.sync(shop)
    agrees_with(hub.database, shop, till.merchant)


def test_the_same_request_again_gets_the_same_bytes(hub: Hub, till: Till, shop: Shop) -> None:
    sold(shop, 3)
    rows = journal(shop)
    body, nonce = till.body(SYNC_PATH, till.request(rows, None))
    first = till.say(SYNC_PATH, body, nonce)
    before = stored(hub)
    hub.now_ms += 5_000
    again = till.say(SYNC_PATH, body, nonce)
    assert (again.status, again.body) == (200, first.body)
    assert stored(hub) == before


def test_rows_sent_again_in_another_request_change_nothing_and_are_answered_alike(
    hub: Hub, till: Till, shop: Shop
) -> None:
    sold(shop, 3)
    rows = journal(shop)
    first = till.ask(SYNC_PATH, till.request(rows, None)).content
    before = stored(hub)
    again = till.ask(SYNC_PATH, till.request(rows, None)).content
    assert again == first
    assert stored(hub) == before


def test_an_old_request_played_again_changes_nothing(hub: Hub, till: Till, shop: Shop) -> None:
    old, nonce = till.body(SYNC_PATH, till.request(journal(shop), None, facts=Facts("0.1", 1, gaps_open=1)))
    till.say(SYNC_PATH, old, nonce)
    till.sent = journal(shop)[-1]
    sold(shop, 3)
    till.sync(shop, facts=Facts("0.2", 1))
    before = stored(hub)
    assert till.say(SYNC_PATH, old, nonce).status == 200
    assert stored(hub) == before
    with hub.database.transaction() as connection:
        last = contact.contact(connection, till.merchant, till.device)
    assert last is not None
    assert last.facts == Facts("0.2", 1)
    agrees_with(hub.database, shop, till.merchant)


def test_the_answer_is_for_this_request_alone(hub: Hub, till: Till, shop: Shop) -> None:
    body, _ = till.body(SYNC_PATH, till.request(journal(shop), None))
    _, _, said = hub.post(SYNC_PATH, body)
    answer = signing.read_answer(said)
    other = signing.answer_input(SYNC_PATH, os.urandom(16), body, answer)
    assert not is_signed(hub.key.signing.public, answer.signature, other)


def _flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def _bomb() -> bytes:
    """A content that promises little and unpacks to 64 MB of zeros."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, write_content_size=False, format=zstandard.FORMAT_ZSTD1_MAGICLESS
    )
    frame = zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(64 << 20))
    assert len(frame) < limits.REQUEST_BYTES_MAX
    return varint(1000) + frame


def _with(till: Till, content: bytes | Content, form: int = 0, **fields: object) -> bytes:
    """A request that is signed rightly, whatever it holds."""
    plain = content if isinstance(content, bytes) else signing.encoded(content)
    sent = Envelope(limits.VERSION, till.merchant, till.device, os.urandom(16), till.at_ms, form, plain)
    sent = msgspec.structs.replace(sent, **fields)
    return signing.signed(sent, till.signing.sign(signing.request_input(SYNC_PATH, sent)))


def _wrong_hash(till: Till, shop: Shop) -> bytes:
    request = till.request(journal(shop), None, whole=True)
    return _with(till, msgspec.structs.replace(request, head=bytes(32)))


def _unsigned(till: Till) -> bytes:
    return signing.signed(signing.envelope(till.merchant, 1, bytes(16), 0, till.request([], None)), b"")


def _asking(till: Till) -> SyncRequest:
    return till.request([], None)


Make = Callable[[Till, Shop], bytes]
BAD: dict[str, tuple[Reason, int, Make]] = {
    "garbage": (Reason.MALFORMED, 400, lambda t, _: os.urandom(300)),
    "nothing": (Reason.MALFORMED, 400, lambda t, _: b""),
    "a page of a proxy": (Reason.MALFORMED, 400, lambda t, _: b"<html>Welcome to the hotel</html>"),
    "wrong signature": (Reason.BAD_SIGNATURE, 401, lambda t, _: _flipped(t.body(SYNC_PATH, _asking(t))[0])),
    "for the other endpoint": (Reason.BAD_SIGNATURE, 401, lambda t, _: t.body(ENROL_PATH, _asking(t))[0]),
    "no signature": (Reason.BAD_SIGNATURE, 401, lambda t, _: _unsigned(t)),
    "another version": (Reason.VERSION, 426, lambda t, _: _with(t, _asking(t), version=9)),
    "zip bomb": (Reason.MALFORMED, 400, lambda t, _: _with(t, _bomb(), Form.ZSTD)),
    "a bomb that says so": (Reason.MALFORMED, 400, lambda t, _: _with(t, varint(1 << 40) + b"x", Form.ZSTD)),
    "an unknown form": (Reason.MALFORMED, 400, lambda t, _: _with(t, b"x", 77)),
    "an enrolment": (Reason.MALFORMED, 400, lambda t, _: t.body(SYNC_PATH, t.enrol_request("x"))[0]),
    "no message of ours": (Reason.MALFORMED, 400, lambda t, _: _with(t, b"\x93\x01\x02\x03")),
    "rows that are none": (
        Reason.MALFORMED,
        400,
        lambda t, _: _with(t, SyncRequest(os.urandom(200), Mark(), bytes(32), 1)),
    ),
    "rows whose hash is another": (Reason.CHAIN, 422, _wrong_hash),
    "a merchant that is none": (
        Reason.UNKNOWN_DEVICE,
        401,
        lambda t, _: _with(t, _asking(t), merchant="' OR 1=1 --\0"),
    ),
    "a device that is none": (Reason.UNKNOWN_DEVICE, 401, lambda t, _: _with(t, _asking(t), device=2**53)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_is_refused_with_a_reason_and_changes_nothing(
    hub: Hub, till: Till, shop: Shop, name: str
) -> None:
    sold(shop, 2)
    till.sync(shop)
    before = stored(hub)
    reason, status, make = BAD[name]
    body = make(till, shop)
    code, _, said = hub.post(SYNC_PATH, body)
    answer = signing.answer_content(signing.read_answer(said))
    assert (code, getattr(answer, "reason", None)) == (status, reason)
    assert getattr(answer, "text", "")
    assert stored(hub) == before


def test_a_body_beyond_the_bound_is_refused_before_it_is_read_to_its_end(hub: Hub, till: Till) -> None:
    status, _, said = hub.post(SYNC_PATH, bytes(limits.REQUEST_BYTES_MAX + 1))
    answer = signing.answer_content(signing.read_answer(said))
    assert (status, getattr(answer, "reason", None)) == (413, Reason.TOO_LARGE)


def test_a_body_without_a_length_is_bounded_too(hub: Hub, till: Till) -> None:
    status, _, _ = hub.post(SYNC_PATH, bytes(300_000), {"Transfer-Encoding": "chunked"})
    assert status == 413


def test_a_body_without_an_end_is_left_at_the_bound() -> None:
    given = 0

    async def receive() -> dict[str, object]:
        nonlocal given
        given += 65_536
        return {"type": "http.request", "body": bytes(65_536), "more_body": True}

    with pytest.raises(web.SlowOrLarge):
        asyncio.run(web._body(Request({"type": "http", "headers": []}, receive)))
    assert given <= limits.REQUEST_BYTES_MAX + 65_536


def test_a_device_that_holds_no_row_the_hub_names_begins_at_the_beginning(
    hub: Hub, till: Till, shop: Shop
) -> None:
    """Its branch left before what a restored hub still has: after some tries it sends everything."""
    sold(shop, 6)
    till.sync(shop)
    lost = msgspec.structs.replace(till.request([], till.sent), before=Mark(1, 99, b"lostlost"), newest=99)
    received = []
    for _ in range(4):
        said = till.ask(SYNC_PATH, lost).content
        assert isinstance(said, SyncAnswer)
        received.append(said.received.seq)
    assert received == [till.sent.seq if till.sent else 0] * 3 + [0]
    assert till.sync(shop).received.seq == journal(shop)[-1].seq


def test_a_refusal_of_a_readable_request_is_signed_and_says_when_to_come_back(
    hub: Hub, till: Till, shop: Shop
) -> None:
    with hub.database.transaction() as connection:
        devices.revoke(connection, till.merchant, till.device, hub.now_ms)
    said = till.ask(SYNC_PATH, till.request([], None))
    assert (said.status, said.signed, refusal(said).reason) == (403, True, Reason.REVOKED)
    with hub.database.transaction() as connection:
        devices.revoke(connection, till.merchant, till.device, None)
    assert till.ask(SYNC_PATH, till.request([], None)).status == 200


def test_who_asks_too_often_waits_and_is_heard_again(hub: Hub, till: Till, shop: Shop) -> None:
    sold(shop, 2)
    till.sync(shop)
    with hub.database.transaction() as connection:
        last = contact.contact(connection, till.merchant, till.device)
        assert last is not None
        empty = msgspec.structs.replace(last, tokens=0.0)
        contact.keep(connection, till.merchant, till.device, empty)
    before = stored(hub)
    said = till.ask(SYNC_PATH, till.request([], till.sent))
    assert (said.status, said.headers["retry-after"], refusal(said).retry_s) == (429, "1", 1)
    assert said.signed
    assert stored(hub) == before
    hub.now_ms += 1_000
    assert till.ask(SYNC_PATH, till.request([], till.sent)).status == 200


def test_rows_the_hub_cannot_follow_are_asked_for_whole_and_then_booked(
    hub: Hub, till: Till, shop: Shop
) -> None:
    from hub.test_intake import chained

    sold(shop, 2)
    rows = chained(journal(shop), (60, b"\x90"))
    said = till.ask(SYNC_PATH, till.request(rows, None)).content
    assert isinstance(said, SyncAnswer)
    assert (said.whole_rows, said.received) == (True, Mark())
    said = till.ask(SYNC_PATH, till.request(rows, None, whole=True)).content
    assert isinstance(said, SyncAnswer)
    assert said.received.seq == rows[-1].seq


def test_a_copied_card_is_told_and_both_branches_are_kept(
    hub: Hub, till: Till, shop: Shop, tmp_path: Path
) -> None:
    sold(shop, 2)
    till.sync(shop)
    (tmp_path / "twin").mkdir()
    twin_shop = copied(shop, tmp_path / "twin")
    twin = Till(hub)
    twin.merchant, twin.device, twin.sent, twin.have = till.merchant, till.device, till.sent, till.have
    sold(shop, 2, 320062650000)
    sold(twin_shop, 3, 320062660000)
    assert till.sync(shop).notes == ()
    hub.now_ms += 60_000
    (note,) = twin.sync(twin_shop).notes
    assert note.code == "HUB-020"  # the first one stands for the device; neither opened an epoch
    with hub.database.transaction() as connection:
        assert len(lines_of(connection, till.merchant, till.device)) == 2
        facts = fleet(connection, [merchants.merchant(connection, till.merchant)], hub.now_ms).devices[0]
    assert [each.code for each in facts.trouble][:2] == ["HUB-020", "HUB-010"]
    assert (facts.verdict, facts.lost_rows, facts.copy_age_s) == ("broken", 3, 0)
    agrees_with(hub.database, shop, till.merchant)
    twin_shop.ledger.close()


def test_programmes_and_messages_come_down_once_and_signed(hub: Hub, till: Till, shop: Shop) -> None:
    from shop import PROGRAMME

    from vafa.club.programme import parse

    programme = parse(PROGRAMME)
    with hub.database.transaction() as connection:
        published.publish(connection, till.merchant, programme, 1_767_000_000, hub.now_ms)
        message = ReceiptMessage(0, b"", "سپاس", "thank you", None, None)
        told = published.say(connection, till.merchant, message, hub.now_ms)
    answer = till.sync(shop)
    (version,) = answer.programmes
    assert is_signed(
        hub.key.signing.public, version.signature, signing.programme_input(till.merchant, version)
    )
    assert parse(version.document).id == programme.id
    assert answer.messages == (told,)
    assert answer.have == Have(1, answer.have.members, 1)
    answer = till.sync(shop)
    assert (answer.programmes, answer.messages) == ((), ())
    with hub.database.transaction() as connection:
        published.cancel(connection, till.merchant, told.id)
    (gone,) = till.sync(shop).messages
    assert (gone.id, gone.gone, gone.fa) == (told.id, True, "")


def test_members_of_one_till_come_down_to_the_other_with_their_points(
    hub: Hub, till: Till, shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other_shop = Shop(tmp_path / "other")
    other = Till(hub, b"e", b"M" * 16)
    other.enrol(hub.code(till.merchant))
    assert other.device == 2
    member = bytes.fromhex(shop.members.add("09121236789", "", "test").id)
    with hub.database.transaction() as connection:
        connection.execute("UPDATE merchant SET token_key_id = %s", (member[:2],))
    shop.counter.post(payment(1, 1050), member)
    other_shop.members.add("09121236789", "", "test")
    other_shop.counter.post(payment(2, 210), member)
    assert till.sync(shop).members == ()
    rows = journal(other_shop)
    # The other shop's ledger is of the same id in these tests: sent whole, its first row waits in suspense.
    said = other.ask(SYNC_PATH, other.request(rows, None, whole=True)).content
    assert isinstance(said, SyncAnswer)
    (heard,) = said.members
    assert (heard.member, heard.last4, heard.balance) == (member, "6789", 105 + 21)
    (told,) = till.sync(shop).members
    assert (told.member, told.balance) == (member, 126)
    assert till.sync(shop).members == ()
    other_shop.ledger.close()


def test_an_alias_counts_with_its_member_and_who_was_forgotten_is_gone(
    hub: Hub, till: Till, shop: Shop
) -> None:
    other = Till(hub, b"e", b"M" * 16)
    other.enrol(hub.code(till.merchant))
    ids = [bytes.fromhex(shop.members.add(f"0912123678{n}", "", "test").id) for n in range(3)]
    with hub.database.transaction() as connection:
        connection.execute("UPDATE merchant SET token_key_id = %s", (ids[0][:2],))
    for number, member in enumerate(ids):
        shop.counter.post(payment(number, 1050), member)
    shop.ledger.write(lambda tx: tx.post(events.Merge(ids[0], ids[1], 1, "test")))
    shop.ledger.write(lambda tx: tx.post(events.Forget(ids[2], "test", "asked for")))
    till.sync(shop)
    said = other.ask(SYNC_PATH, other.request([], None)).content
    assert isinstance(said, SyncAnswer)
    heard = {each.member: each for each in said.members}
    assert (heard[ids[0]].balance, heard[ids[0]].gone) == (210, False)
    assert [heard[each].gone for each in ids[1:]] == [True, True]


@pytest.mark.parametrize("path", [SYNC_PATH, ENROL_PATH])
def test_no_other_method_and_no_other_path_answers(hub: Hub, path: str) -> None:
    assert hub.get(path)[0] == 405
    assert hub.get("/docs")[0] == hub.get("/openapi.json")[0] == hub.get("/v1/")[0] == 404


def test_the_pages_for_whoever_runs_it(database: Database, shop: Shop, tmp_path: Path) -> None:
    hub = Hub(database, tmp_path)
    with hub.up():
        till = Till(hub)
        till.enrol(hub.code(hub.merchant()))
        sold(shop, 2)
        till.sync(shop)
        assert hub.get("/healthz") == (200, "ok\n")
        assert hub.get("/readyz") == (200, "ready\n")
        status, text = hub.get("/metrics")
    assert status == 200
    assert 'vafa_hub_requests_total{path="/v1/sync",outcome="booked"} 1' in text
    assert f"vafa_hub_journal_rows {len(journal(shop))}\n" in text
    assert "vafa_hub_devices 1\n" in text
    assert till.merchant not in text


def test_a_stranger_s_key_opens_nothing(hub: Hub, till: Till, shop: Shop) -> None:
    from vafa.keys.device_key import DeviceKey

    stranger = SigningKey(DeviceKey(b"s" * 32))
    before = stored(hub)
    said = till.ask(SYNC_PATH, till.request(journal(shop), None), stranger)
    assert refusal(said).reason == Reason.BAD_SIGNATURE
    assert stored(hub) == before
