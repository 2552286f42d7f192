"""The pretend terminal's conversation, and each way it can go wrong."""

from hashlib import sha256
from pathlib import Path

import iransystem
import pytest

from vafa.model.errors import Refused
from vafa.model.pan import IRANIAN_BINS, luhn_ok
from vafa.simulators import sadad_bytes as wire
from vafa.simulators.sadad import State, Terminal
from vafa.simulators.sadad_records import ROWS_KEPT

INM = wire.build(wire.PLAIN, wire.INM)
ACK = wire.build(wire.PLAIN, wire.ACK)
EOT = wire.build(wire.PLAIN, wire.EOT)
NACK = wire.build(wire.PLAIN, wire.NACK)


def sale_request(amount: int, order_id: str = "", text: bytes = b"", card_hash: str = "") -> bytes:
    fields = [(4, card_hash.encode()), (5, order_id.encode()), (6, text)]
    bitmap = sum(1 << (number - 1) for number, value in fields if value)
    body = b"".join(b"%03d" % len(value) + value for _, value in fields if value)
    head = str(amount).encode().ljust(13, b"\0") + b" " * 14 + b"0200000000" + bytes([bitmap])
    return wire.build(wire.PLAIN, wire.REQUEST, head + body)


def ask(function: str, payload: str = "") -> bytes:
    return wire.build(wire.LISTS, wire.REQUEST, f"{function}{len(payload):03d}{payload}".encode())


def terminal(**settings: object) -> Terminal:
    return Terminal(wall=lambda: 1_767_225_600.0, **settings)  # type: ignore[arg-type]


def kinds(data: bytes) -> list[int]:
    return [message.kind for message in wire.Splitter().feed(data, 0.0)]


def units(data: bytes, offset: int, count: int) -> str:
    return data[offset : offset + 2 * count].decode("utf-16-le").rstrip("\0")


def answer_of(data: bytes) -> bytes:
    """The data of the first RESPONSE in what the terminal said."""
    return next(m.data for m in wire.Splitter().feed(data, 0.0) if m.kind == wire.RESPONSE)


def test_a_sale_is_acknowledged_paid_answered_and_printed() -> None:
    pos = terminal(pay_after_s=2.0)
    assert pos.feed(INM, 0.0) == ACK
    text = b",".join(iransystem.encode(line) for line in ("پس از پرداخت موفق: ۱۲۵ امتیاز", "کد: 4829"))
    assert pos.feed(sale_request(120_000, "A77", text), 0.1) == ACK
    assert pos.step(1.0) == b""
    data = answer_of(pos.step(2.2))
    assert (units(data, 0, 4), units(data, 8, 13), units(data, 164, 9)) == ("00", "120000", pos.tid)
    assert units(data, 124, 13) == pos.journal[0].rrn
    assert pos.feed(ACK, 2.3) == b""
    assert pos.state is State.IDLE
    assert pos.slips[0].lines == ("پس از پرداخت موفق: ۱۲۵ امتیاز", "کد: 4829")
    assert (pos.journal[0].order_id, pos.journal[0].keyed) == ("A77", False)


def test_an_answer_is_repeated_until_acknowledged_and_then_given_up() -> None:
    pos = terminal(response_waits_s=(180, 5, 5))
    assert kinds(pos.feed(sale_request(1000), 0.0)) == [wire.ACK, wire.RESPONSE]
    assert kinds(pos.step(179.9)) == []
    assert kinds(pos.step(180.0)) == [wire.RESPONSE]
    assert kinds(pos.feed(NACK, 181.0)) == [wire.RESPONSE]
    assert kinds(pos.step(186.1)) == []
    assert pos.state is State.IDLE
    assert len(pos.journal) == len(pos.slips) == 1


def test_a_decline_has_its_code_and_words_and_no_reference() -> None:
    pos = terminal()
    pos.next("decline", code="55", text="رمز اشتباه است")
    data = answer_of(pos.feed(sale_request(1000), 0.0))
    assert (units(data, 0, 4), units(data, 124, 13), units(data, 214, 30)) == ("55", "", "رمز اشتباه است")
    assert (pos.slips, pos.journal[0].approved) == ([], False)


def test_a_customer_who_cancels_ends_it_with_eot() -> None:
    pos = terminal()
    pos.next("cancel")
    assert pos.feed(sale_request(1000), 0.0) == ACK + EOT
    assert (pos.journal, pos.state) == ([], State.IDLE)


def test_a_customer_who_walks_away_leaves_it_busy_for_a_minute() -> None:
    pos = terminal()
    pos.next("never")
    assert pos.feed(sale_request(1000), 0.0) == ACK
    assert pos.feed(INM, 59.0) == b""
    assert pos.step(60.0) == b""
    assert pos.feed(INM, 61.0) == ACK
    assert kinds(pos.feed(sale_request(1000), 62.0)) == [wire.ACK, wire.RESPONSE]


@pytest.mark.parametrize(("busy", "said"), [("silent", b""), ("nack", NACK)])
def test_while_a_customer_pays_nobody_else_is_served(busy: str, said: bytes) -> None:
    pos = terminal(pay_after_s=10, busy=busy)
    pos.feed(sale_request(1000), 0.0)
    assert pos.feed(INM, 1.0) == said
    assert pos.feed(sale_request(2000), 1.0) == said
    with pytest.raises(Refused):
        pos.key_sale(1000)


def test_the_cash_register_may_cancel_before_the_card() -> None:
    pos = terminal(pay_after_s=10)
    pos.feed(sale_request(1000), 0.0)
    assert pos.feed(EOT, 1.0) == EOT
    assert kinds(pos.step(11.0)) == []
    assert pos.journal == []


def test_a_damaged_request_is_refused_and_nothing_is_charged() -> None:
    pos = terminal()
    good = sale_request(1000)
    assert pos.feed(good[:-1] + bytes([good[-1] ^ 1]), 0.0) == NACK
    assert pos.journal == []


def test_the_journal_lists_the_newest_first_and_keeps_thirteen() -> None:
    pos = terminal()
    for amount in range(1, 16):
        pos.key_sale(amount)
    pos.next("decline")
    pos.feed(sale_request(99), 0.0)
    assert len(pos.journal) == ROWS_KEPT
    data = answer_of(pos.feed(ask("0001", "021"), 1.0))
    assert [int(data[7 + 60 * n + 2 : 7 + 60 * n + 14]) for n in range(2)] == [15, 14]
    assert len(data) == 7 + 120
    assert len(answer_of(pos.feed(ask("0001", "132"), 2.0))) == 7 + 13 * 60
    assert len(answer_of(pos.feed(ask("0001", "130"), 3.0))) == 7 + 60
    assert pos.slips[-1].amount == 15


def test_the_journal_with_order_ids_names_the_sale() -> None:
    pos = terminal()
    pos.feed(sale_request(5000, "Z9"), 0.0)
    assert answer_of(pos.feed(ask("0013", "132"), 1.0))[-4:] == b"02Z9"


def test_a_card_shown_first_is_the_card_that_pays() -> None:
    pos = terminal()
    told = answer_of(pos.feed(ask("0003"), 0.0))
    hashed = told[7:71].decode()
    card = next(c for c in pos.cards if c.sha256_hex == hashed)
    assert told[7 + 64 :].decode() == pos.tid + pos.mid + card.short_mask
    pos.feed(wire.build(wire.LISTS, wire.ACK), 0.1)
    pos.feed(sale_request(1000, card_hash=hashed), 0.2)
    assert pos.journal[0].card == card.short_mask


def test_the_deck_is_invented_but_well_formed() -> None:
    cards = terminal().cards
    assert all(luhn_ok(c.number) and c.number[:6] in IRANIAN_BINS and len(c.number) == 16 for c in cards)
    assert len({c.number[:6] for c in cards}) == 10
    assert cards[0].sha256_hex == sha256(cards[0].number.encode()).hexdigest()
    assert cards[0].number not in repr(cards[0])


def test_the_trace_wraps_and_the_reference_does_not() -> None:
    pos = terminal()
    pos.memory.trace = 999_998
    records = [pos.key_sale(1) for _ in range(3)]
    assert [r.trace for r in records] == [999_999, 1, 2]
    assert len({r.rrn for r in records}) == 3


def test_a_terminal_switched_off_remembers(tmp_path: Path) -> None:
    path = tmp_path / "terminal.json"
    first = terminal(state_path=path)
    first.key_sale(1000)
    again = terminal(state_path=path)
    assert again.journal == first.journal
    assert again.key_sale(2000).trace == 2


# --- faults ------------------------------------------------------------------------------------------


def faulty(name: str, times: int = 1, **settings: object) -> Terminal:
    pos = terminal(**settings)
    pos.fault(name, times)
    return pos


def test_fault_noise_comes_before_a_message() -> None:
    pos = faulty("noise")
    said = pos.feed(INM, 0.0)
    assert said.endswith(ACK)
    assert said != ACK
    assert pos.feed(INM, 1.0) == ACK


def test_fault_split_sends_the_same_bytes_in_order_over_time() -> None:
    whole = terminal().feed(sale_request(1000), 0.0)
    pos = faulty("split", 2)
    pieces = [pos.feed(sale_request(1000), 0.0)] + [pos.step(n / 100) for n in range(1, 500)]
    assert b"".join(pieces) == whole
    assert len([piece for piece in pieces if piece]) > 3


def test_fault_bad_lrc_is_mended_by_a_nack() -> None:
    pos = faulty("bad-lrc")
    said = wire.Splitter().feed(pos.feed(sale_request(1000), 0.0), 0.0)
    assert [m.intact for m in said] == [True, False]
    assert units(answer_of(pos.feed(NACK, 1.0)), 0, 4) == "00"


def test_fault_repeat_response_says_it_twice() -> None:
    said = faulty("repeat-response").feed(sale_request(1000), 0.0)
    assert kinds(said) == [wire.ACK, wire.RESPONSE, wire.RESPONSE]


def test_fault_nack_refuses_as_often_as_told() -> None:
    pos = faulty("nack", 2)
    assert [kinds(pos.feed(sale_request(1000), n)) for n in range(2)] == [[wire.NACK], [wire.NACK]]
    assert kinds(pos.feed(sale_request(1000), 3.0)) == [wire.ACK, wire.RESPONSE]


def test_fault_deaf_leaves_inm_unanswered() -> None:
    pos = faulty("deaf")
    assert [pos.feed(INM, 0.0), pos.feed(INM, 5.0)] == [b"", ACK]


def test_fault_silence_after_request_charges_and_says_nothing() -> None:
    pos = faulty("silence-after-request")
    assert pos.feed(sale_request(1000, "Q1"), 0.0) == ACK
    assert pos.step(1000.0) == b""
    assert (pos.journal[0].order_id, len(pos.slips)) == ("Q1", 1)


def test_fault_lost_answer_comes_again_when_its_time_is_up() -> None:
    pos = faulty("lost-answer")
    assert pos.feed(sale_request(1000), 0.0) == ACK
    assert kinds(pos.step(180.0)) == [wire.RESPONSE]


def test_fault_full_pan_is_told_by_the_answer_only() -> None:
    pos = faulty("full-pan")
    number = units(answer_of(pos.feed(sale_request(1000), 0.0)), 34, 17)
    assert number in {card.number for card in pos.cards}
    assert number not in repr(pos.journal) + repr(pos.slips)


def test_fault_drop_link_cuts_the_line_and_charges() -> None:
    pos = faulty("drop-link")
    assert pos.feed(sale_request(1000), 0.0) == ACK
    assert pos.take_drop()
    pos.link_lost()
    assert kinds(pos.step(1.0)) == [wire.RESPONSE]  # said to nobody
    assert len(pos.journal) == 1


def test_fault_wrong_tid_and_no_rrn_change_the_answer_only() -> None:
    pos = faulty("wrong-tid")
    pos.fault("no-rrn")
    data = answer_of(pos.feed(sale_request(1000), 0.0))
    assert (units(data, 164, 9), units(data, 124, 13)) == ("99999999", "")
    assert pos.journal[0].rrn != ""


def test_a_fault_may_wait_for_its_sale() -> None:
    pos = terminal()
    pos.fault("silence-after-request", 1, from_sale=2)
    answers = [kinds(pos.feed(sale_request(n), float(n))) for n in (1, 2, 3)]
    assert [wire.RESPONSE in answer for answer in answers] == [True, False, True]
