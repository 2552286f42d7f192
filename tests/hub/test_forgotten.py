"""Whom one device of a merchant forgot, as the hub tells it to the others."""

import msgspec
import psycopg
import pytest
from hub.device_rows import journal
from hub.served import Hub, Till
from shop import Shop, payment

from vafa.app.profiles import Profiles
from vafa.hub import forgotten, migrations
from vafa.hub.database import Database, connect
from vafa.hub.tables import Place
from vafa.model import events
from vafa.model.chain import Row
from vafa.wire.limits import FORGOTTEN_MAX
from vafa.wire.messages import SYNC_PATH, Forgotten, Have, SyncAnswer

PHONE = "09121236789"


@pytest.fixture
def other(hub: Hub, till: Till) -> Till:
    """Another device of the merchant."""
    it = Till(hub, b"e", b"M" * 16)
    it.enrol(hub.code(till.merchant))
    it.have = Have(forgotten=b"")
    return it


def joined(shop: Shop, phone: str = PHONE) -> bytes:
    return bytes.fromhex(shop.members.add(phone, "", "test").id)


def heard(till: Till) -> SyncAnswer:
    said = till.ask(SYNC_PATH, till.request([], None)).content
    assert isinstance(said, SyncAnswer)
    till.have = said.have
    return said


def test_a_person_forgotten_at_one_device_is_told_to_the_others_once(
    hub: Hub, till: Till, other: Till, shop: Shop
) -> None:
    member = joined(shop)
    till.sync(shop)
    assert heard(other).forgotten == ()
    Profiles(shop.members).forget(member, "asked", "test")
    till.sync(shop)
    row = journal(shop)[-1]
    assert heard(other).forgotten == (Forgotten(member, till.device, row.epoch, row.seq),)
    assert heard(other).forgotten == ()


def test_a_device_of_before_is_told_nothing_and_hears_all_once_it_can(
    hub: Hub, till: Till, other: Till, shop: Shop
) -> None:
    member = joined(shop)
    Profiles(shop.members).forget(member, "asked", "test")
    till.sync(shop)
    other.have = Have()
    answer = heard(other)
    assert (answer.forgotten, answer.have.forgotten) == ((), None)
    other.have = msgspec.structs.replace(answer.have, forgotten=b"")
    assert [each.member for each in heard(other).forgotten] == [member]


def test_another_merchant_hears_nothing_of_it(hub: Hub, till: Till, shop: Shop) -> None:
    stranger = Till(hub, b"s", b"S" * 16)
    stranger.enrol(hub.code(hub.merchant("another shop")))
    stranger.have = Have(forgotten=b"")
    Profiles(shop.members).forget(joined(shop), "asked", "test")
    till.sync(shop)
    assert heard(stranger).forgotten == ()


def test_what_a_device_did_because_it_was_told_is_not_told_again(
    hub: Hub, till: Till, other: Till, shop: Shop
) -> None:
    member = joined(shop)
    Profiles(shop.members).forget(member, "asked", "test")
    first = journal(shop)[-1]
    joined(shop)
    origin = (till.device, first.epoch, first.seq)
    shop.ledger.write(lambda tx: tx.post(events.Forget(member, "hub", "told", (), origin)))
    till.sync(shop)
    assert heard(other).forgotten == (Forgotten(member, *origin),)


def test_who_was_forgotten_is_gone_at_the_others_at_once_though_one_has_yet_to_hear_of_it(
    hub: Hub, till: Till, other: Till, shop: Shop
) -> None:
    third = Till(hub, b"f", b"N" * 16)
    third.enrol(hub.code(till.merchant))
    member = joined(shop)
    with hub.database.transaction() as connection:
        connection.execute("UPDATE merchant SET token_key_id = %s", (member[:2],))
    shop.counter.post(payment(1, 1050), member)
    till.sync(shop)
    rows = journal(shop)
    other.ask(SYNC_PATH, other.request(rows, None, whole=True))
    Profiles(shop.members).forget(member, "asked", "test")
    till.sync(shop)
    (told,) = heard(third).members
    assert (told.member, told.gone, told.tokens) == (member, True, ())


def test_a_hub_that_hears_it_in_another_order_after_a_restore_tells_all_again(database: Database) -> None:
    one, two = rows_that_forget(b"one"), rows_that_forget(b"two")
    with database.transaction() as connection:
        forgotten.note(connection, Place("m", 1, 1), one)
        has_one = forgotten.after(connection, "m", b"").have
        forgotten.note(connection, Place("m", 2, 1), two)
        assert [each.member for each in forgotten.after(connection, "m", has_one).forgotten] == [b"two"]
        connection.execute("DELETE FROM forgotten")
        forgotten.note(connection, Place("m", 2, 1), two)
        forgotten.note(connection, Place("m", 1, 1), one)
        again = forgotten.after(connection, "m", has_one)
        assert [each.member for each in again.forgotten] == [b"two", b"one"]
        assert forgotten.after(connection, "m", again.have).forgotten == ()


def test_many_come_in_parts(database: Database) -> None:
    with database.transaction() as connection:
        rows = [row for n in range(FORGOTTEN_MAX + 5) for row in rows_that_forget(b"%d" % n, n + 1)]
        forgotten.note(connection, Place("m", 1, 1), rows)
        first = forgotten.after(connection, "m", b"")
        rest = forgotten.after(connection, "m", first.have)
        assert (len(first.forgotten), first.more) == (FORGOTTEN_MAX, True)
        assert (len(rest.forgotten), rest.more) == (5, False)


def test_a_row_that_names_numbers_no_row_has_is_not_told(database: Database) -> None:
    with database.transaction() as connection:
        for origin in ((2**63, 1, 1), (1, -1, 1)):
            forgotten.note(connection, Place("m", 1, 1), rows_that_forget(b"one", origin=origin))
        assert forgotten.after(connection, "m", b"").forgotten == ()


def test_what_journals_say_from_before_is_found_by_the_migration(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = migrations.STEPS
    monkeypatch.setattr(migrations, "STEPS", steps[:6])
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", 6)
    (row,) = rows_that_forget(b"one")
    with connect(fresh_dsn) as connection:
        migrations.migrate(connection)
        connection.execute("INSERT INTO merchant (merchant_id, name, made_at) VALUES ('m', 'Kafe', 0)")
        keep(connection, row)
    monkeypatch.setattr(migrations, "STEPS", steps)
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", len(steps))
    with connect(fresh_dsn) as connection:
        migrations.migrate(connection)
        assert forgotten.after(connection, "m", b"").forgotten == (Forgotten(b"one", 1, row.epoch, row.seq),)


def keep(connection: "psycopg.Connection[tuple[object, ...]]", row: Row) -> None:
    sql = """INSERT INTO journal (merchant_id, device, line, epoch, seq, at, kind, body, till, state, hash)
    VALUES ('m', 1, 1, %s, %s, %s, %s, %s, %s, %s, %s)"""
    connection.execute(sql, msgspec.structs.astuple(row))


def rows_that_forget(member: bytes, seq: int = 7, origin: tuple[int, int, int] | None = None) -> list[Row]:
    body = events.encode(events.Forget(member, "t", "asked", (), origin))
    return [Row(1, seq, 0, int(events.Kind.FORGET), body, b"", b"", b"h")]


def test_an_id_under_a_device_s_own_key_is_told_as_the_member_it_was_merged_into(
    hub: Hub, till: Till, other: Till, shop: Shop
) -> None:
    own, merged = joined(shop), b"\xff\xff12345678"
    shop.ledger.write(lambda tx: tx.post(events.Merge(merged, own, 1, "enrolment")))
    Profiles(shop.members).forget(own, "asked", "test")
    with hub.database.transaction() as connection:
        connection.execute("UPDATE merchant SET token_key_id = %s", (merged[:2],))
    till.sync(shop)
    assert [each.member for each in heard(other).forgotten] == [merged]
