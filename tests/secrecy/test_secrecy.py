"""No card number and no readable phone stays anywhere, whatever a client or a terminal writes where.

The real daemon takes messages with a card number planted in each field in turn; then its database,
write-ahead log, backups, log and replies are searched. That the search finds what is there,
test_search.py shows.
"""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from secrecy.old_terminal import RESPONSE, OldTerminal
from secrecy.plants import (
    ECR_TID,
    PANS,
    PHONES,
    phone_requests,
    phone_spellings,
    planted_lines,
    real_card,
    spellings,
)
from secrecy.search import Place, found
from secrecy.shop_day import ShopDay

from vafa.simulators.tcp_line import serve_tcp


@pytest.mark.parametrize("key", ["sender", "rrn"])
def test_no_card_number_in_any_field_of_any_message_is_kept_or_said(tmp_path: Path, key: str) -> None:
    understood = 0
    with ShopDay(tmp_path, key=key, log="json" if key == "sender" else "journal") as day:
        for pan in PANS:
            for number, (socket, line) in enumerate(planted_lines(pan)):
                answer = day.send(socket, line)
                understood += "failure" not in answer.values()
                if number % 100 == 0:
                    day.send("local", real_card(pan, number))
        hits = found(PANS, day.places())
    assert hits == [], "\n".join(hits)
    assert understood > 100 * len(PANS), "most plants must get past the first check"


def test_no_card_number_in_any_field_of_a_terminal_s_answer_is_kept_or_said(tmp_path: Path) -> None:
    with OldTerminal(ECR_TID) as terminal, ShopDay(tmp_path, port=terminal.port, card_first="true") as day:
        approved = 0
        for pan in PANS:
            terminal.card = pan
            for field in RESPONSE:
                for number, text in enumerate([pan, *spellings(pan)[1::4]]):
                    terminal.planted = (field, text)
                    answer = day.ask("local", op="sell", request=f"{field}{pan[-4:]}{number}", amount=25_000)
                    approved += answer.get("outcome") == "approved"
        hits = found(PANS, day.places())
    assert hits == [], "\n".join(hits)
    assert approved > len(PANS) * len(RESPONSE)


def test_no_card_number_in_a_terminal_s_journal_is_kept_or_said(tmp_path: Path) -> None:
    with OldTerminal(ECR_TID) as terminal, ShopDay(tmp_path, port=terminal.port) as day:
        for pan in PANS[:3]:
            terminal.card, terminal.lost = pan, True
            answer = day.ask("local", op="sell", request=f"lost{pan[-4:]}", amount=30_000)
            assert answer["outcome"] == "resolved_paid"
        hits = found(PANS, day.places())
    assert hits == [], "\n".join(hits)


class Paper:
    """A printer of text that keeps every byte it is sent."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self._come = threading.Condition()

    def feed(self, data: bytes, _now: float) -> bytes:
        with self._come:
            self.taken += data
            self._come.notify_all()
        return b""

    def step(self, _now: float) -> bytes:
        return b""

    def link_lost(self) -> None:
        return

    def take_drop(self) -> None:
        return

    def slips(self, number: int) -> bytes:
        """Waits for so many; everything that was sent."""
        with self._come:
            assert self._come.wait_for(lambda: self.taken.count(AMOUNT) >= number, 40.0)
            return bytes(self.taken)


AMOUNT = "مبلغ".encode("cp1256")


def test_no_card_number_comes_onto_a_slip_or_into_what_is_said_of_printing(tmp_path: Path) -> None:
    """The rows that are printed come from a terminal that writes card numbers into every field."""
    paper = Paper()
    with OldTerminal(ECR_TID) as terminal, serve_tcp(paper) as line:
        printer = f'[[printer]]\nname = "p"\naddress = "tcp:{line.address}"\nprofile = "lines"'
        with ShopDay(tmp_path, port=terminal.port, card_first="true", printer=printer) as day:
            with_slip = 0
            for number, field in enumerate(RESPONSE):
                for pan in PANS[:2]:
                    terminal.card, terminal.planted = pan, (field, pan)
                    answer = day.ask("local", op="sell", request=f"{field}{pan[-4:]}", amount=25_000 + number)
                    with_slip += any("مبلغ" in line for line in answer.get("paid", {}).get("lines", ()))
            assert with_slip >= len(RESPONSE)
            printed = paper.slips(with_slip)
            hits = found(PANS, [*day.places(), Place("paper", printed)])
    assert hits == [], "\n".join(hits)


def test_no_phone_is_readable(tmp_path: Path) -> None:
    enrolled = 0
    with ShopDay(tmp_path) as day:
        for digits in PHONES:
            for number, phone in enumerate(phone_spellings(digits)):
                for socket, request in phone_requests(phone, f"{digits[:3]}{number}"):
                    enrolled += day.ask(socket, **request).get("answer") == "known"
        hits = [hit for hit in found(PHONES, day.places()) if not hit.startswith("replies")]
    assert hits == [], "\n".join(hits)
    assert enrolled > len(PHONES)


def test_a_card_number_written_into_the_database_is_found_in_its_file(tmp_path: Path) -> None:
    with ShopDay(tmp_path) as day:
        day.send("local", real_card(PANS[0], 1))
        with closing(sqlite3.connect(tmp_path / "state" / "ledger.db")) as connection, connection:
            connection.execute("UPDATE payment SET claim = ?", (PANS[0],))
        names = {hit.partition(":")[0] for hit in found(PANS, day.places())}
    assert names == {"state/ledger.db-wal", "state/backups/ledger-000001.db", "values of payment"}


def test_a_card_number_in_a_reply_or_a_log_is_found() -> None:
    assert found(PANS, [Place("replies", f'{{"ref":"{PANS[1]}"}}'.encode())]) == [
        f"replies: latin plain utf-8 of {PANS[1]}"
    ]
