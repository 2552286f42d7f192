"""Many at once: the same rows by several connections, several devices; and what lies there in the end."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hub.device_rows import busy, journal, sold
from hub.served import Answered, Hub, Till
from hub.test_intake import agrees_with
from hub.test_isolation import everything_of
from shop import Shop

from vafa.hub import roster
from vafa.wire.messages import SYNC_PATH, SyncAnswer

PHONE_DIGITS = "9121236789"


def received(said: Answered) -> int:
    """Up to where the hub says that it holds the rows."""
    assert isinstance(said.content, SyncAnswer), said.content
    return said.content.received.seq


def test_the_same_rows_from_many_connections_at_once_are_there_once(hub: Hub, till: Till, shop: Shop) -> None:
    sold(shop, 40)
    rows = journal(shop)
    bodies = [till.body(SYNC_PATH, till.request(rows[: 10 * n], None)) for n in (4, 3, 2, 1)] * 2
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda each: till.say(SYNC_PATH, *each), bodies))
    assert [received(said) for said in answers] == [40, 30, 20, 10] * 2
    assert received(till.ask(SYNC_PATH, till.request(rows, None))) == rows[-1].seq
    agrees_with(hub.database, shop, till.merchant)


def test_devices_of_one_merchant_at_once_get_ticks_without_a_hole(
    hub: Hub, till: Till, shop: Shop, tmp_path: Path
) -> None:
    tills = [till]
    for number in range(3):
        tills.append(Till(hub, b"%d" % number, os.urandom(16)))
        tills[-1].enrol(hub.code(till.merchant))
    sold(shop, 30)
    rows = journal(shop)

    def parts(each: Till) -> int:
        """The shop's rows in five requests, whole: for three of the four it is another device's ledger."""
        for first in range(0, 30, 6):
            before = rows[first - 1] if first else None
            said = each.ask(SYNC_PATH, each.request(rows[first : first + 6], before, whole=True))
            assert received(said) == rows[first + 5].seq
        return each.device

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(parts, tills)) == [1, 2, 3, 4]
    with hub.database.transaction() as connection:
        batches = roster.batches(connection, till.merchant, 0, 100)
    assert [batch.tick for batch in batches] == list(range(1, 21))


def test_no_phone_no_card_and_no_key_lies_at_the_hub(hub: Hub, till: Till, shop: Shop) -> None:
    busy(shop)
    till.sync(shop)
    found = everything_of(hub, till.merchant)
    assert len(found["journal"]) == len(journal(shop))
    for table, rows in found.items():
        for row in rows:
            for value in row:
                data = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                for secret in (PHONE_DIGITS.encode(), till.own_key, b"k" * 32, b"h" * 32):
                    assert secret not in data, table
