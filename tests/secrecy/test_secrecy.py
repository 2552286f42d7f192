"""No card number and no readable phone stays anywhere, whatever a client or a terminal writes where.

The real daemon takes messages with a card number planted in each field in turn; then its database,
write-ahead log, backups, log and replies are searched. That the search finds what is there,
test_search.py shows.
"""

import sqlite3
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
