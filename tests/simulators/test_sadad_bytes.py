"""The pretend terminal's bytes are the vendor's published ones, both ways."""

from datetime import datetime
from pathlib import Path

import pytest

from vafa.simulators import sadad_bytes as wire
from vafa.simulators.sadad_records import ZONE

_LINES = (Path(__file__).parent / "sadad_vectors.txt").read_text().splitlines()
VECTORS = {
    name: bytes.fromhex(data) for name, data in (line.split() for line in _LINES if not line.startswith("#"))
}


def only_message(data: bytes) -> wire.Message:
    (message,) = wire.Splitter().feed(data, 0.0)
    assert message.intact
    return message


def test_the_short_messages_are_the_published_ones() -> None:
    assert wire.build(wire.PLAIN, wire.INM) == VECTORS["inm"]
    assert wire.build(wire.PLAIN, wire.ACK) == VECTORS["ack"]
    assert wire.build(wire.LISTS, wire.ACK) == VECTORS["ack-lists"]
    assert wire.build(wire.PLAIN, wire.EOT) == VECTORS["eot"]


def test_a_sale_request_is_read_with_its_optional_fields() -> None:
    sale = wire.read_sale(only_message(VECTORS["sale-with-order"]).data)
    assert sale is not None
    assert (sale.amount, sale.processing, sale.order_id) == (1000, "000000", "321654")
    assert sale.optional == {2: b"987654", 5: b"321654", 8: b"5.3.185.1336"}


def test_a_sale_request_without_order_has_only_the_api_version() -> None:
    sale = wire.read_sale(only_message(VECTORS["sale-1000"]).data)
    assert sale is not None
    assert (sale.amount, sale.optional, sale.order_id) == (1000, {8: b"5.3.185.1336"}, "")


@pytest.mark.parametrize("kept", range(0, 64, 3))
def test_a_sale_request_cut_short_is_none(kept: int) -> None:
    data = only_message(VECTORS["sale-with-order"]).data
    assert kept < len(data)
    assert wire.read_sale(data[:kept]) is None


def test_the_functions_of_version_002_are_read() -> None:
    assert wire.read_ask(only_message(VECTORS["last-five"]).data) == wire.Ask("0001", "051")
    assert wire.read_ask(only_message(VECTORS["card-info"]).data) == wire.Ask("0003", "")


def test_the_vendors_sale_answer_is_built_from_its_field_values() -> None:
    answer = wire.SaleAnswer(
        code="00",
        amount=1000,
        card="621986******3864",
        trace="000996",
        at=datetime(2018, 12, 30, 15, 39, 8, tzinfo=ZONE),  # 1397/10/09
        rrn="320062616116",
        terminal_id="C0000301",
        merchant_id="000000000000152",
    )
    assert wire.sale_response(answer) == VECTORS["sale-answer"]


def test_the_vendors_list_of_five_is_built_from_its_rows() -> None:
    facts = [
        ("04", 1065401000, "001027", (13, 31, 36), "320063166409"),
        ("04", 106541000, "001026", (13, 31, 20), "320063166408"),
        ("04", 1000, "001025", (13, 30, 23), "320063166407"),
        ("04", 1000, "001024", (13, 30, 12), "320063166406"),
        ("22", 1898010, "001022", (12, 53, 50), "320063166393"),
    ]
    rows = [
        wire.Row(kind, amount, trace, datetime(2019, 1, 6, *at, tzinfo=ZONE), "621986**3864", rrn, "00")
        for kind, amount, trace, at, rrn in facts
    ]
    assert wire.rows_response("0002", rows) == VECTORS["last-five-answer"]


def test_rows_with_order_ids_carry_length_and_value() -> None:
    row = wire.Row(
        "04", 1000, "000001", datetime(2026, 1, 1, tzinfo=ZONE), "621986**3864", "3" * 12, "00", "AB12"
    )
    data = only_message(wire.rows_response("0014", [row, row])).data
    assert data[:7] == b"0014132"
    assert data[7 + 60 : 7 + 66] == b"04AB12"


def test_a_list_too_long_for_one_message_loses_its_oldest_rows() -> None:
    row = wire.Row(
        "04", 1, "000001", datetime(2026, 1, 1, tzinfo=ZONE), "621986**3864", "3" * 12, "00", "X" * 30
    )
    data = only_message(wire.rows_response("0014", [row] * 13)).data
    assert len(data) == 7 + 92 * 10


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_any_split_gives_the_same_messages(size: int) -> None:
    stream = b"\n\x02\x0299" + b"".join(VECTORS.values())
    splitter = wire.Splitter()
    found = [
        message
        for at in range(0, len(stream), size)
        for message in splitter.feed(stream[at : at + size], at / 1e6)
    ]
    assert [wire.build(m.version, m.kind, m.data) for m in found] == list(VECTORS.values())


def test_a_wrong_checksum_is_told_and_what_follows_is_heard() -> None:
    broken = VECTORS["inm"][:-1] + b"\x00"
    heard = wire.Splitter().feed(broken + VECTORS["ack"], 0.0)
    assert [(m.kind, m.intact) for m in heard] == [(wire.INM, False), (wire.ACK, True)]


def test_a_message_that_never_ends_does_not_deafen_the_terminal() -> None:
    splitter = wire.Splitter()
    assert splitter.feed(b"\x02999000", 0.0) == []
    assert [m.kind for m in splitter.feed(VECTORS["inm"], 5.0)] == [wire.INM]
