"""Rows packed ahead: the same ones as packed in their turn, or none."""

from collections.abc import Sequence

import pytest

from vafa.model.chain import Row
from vafa.model.errors import LedgerError
from vafa.sync.parcel import Packer, Wanted
from vafa.wire.messages import Mark


class Journal:
    """Rows that are there, and what was asked for."""

    def __init__(self, count: int) -> None:
        self.rows = [
            Row(1, n, n, 99, b"\x91%c" % (n % 100), b"", b"", bytes([n % 256]) * 32)
            for n in range(1, count + 1)
        ]
        self.asked: list[tuple[int, int]] = []
        self.is_broken = False

    def newest(self) -> int:
        return len(self.rows)

    def row(self, seq: int) -> Row | None:
        return self.rows[seq - 1] if 0 < seq <= len(self.rows) else None

    def rows_after(self, seq: int, at_most: int) -> Sequence[Row]:
        self.asked.append((seq, at_most))
        if self.is_broken:
            raise LedgerError("the disk is gone")
        return self.rows[seq : seq + at_most]

    def epoch_begins(self, after_epoch: int) -> int | None:
        return None

    def counted(self) -> list[Mark]:
        return []

    def before(self, seq: int) -> list[bytes]:
        return []


def test_what_was_packed_ahead_is_taken_once_and_is_what_packing_gives() -> None:
    journal = Journal(90)
    packer, now = Packer(journal), Packer(journal)
    packer.ahead(Wanted(30, 30))
    journal.asked.clear()
    assert packer.packed(Wanted(30, 30)) == now.packed(Wanted(30, 30))
    assert journal.asked == [(30, 30)], "by the one that packed nothing ahead"
    packer.packed(Wanted(30, 30))
    assert len(journal.asked) == 2


@pytest.mark.parametrize("wanted", [Wanted(0, 30), Wanted(30, 20), Wanted(30, 30, whole=True)])
def test_what_was_packed_ahead_for_something_else_is_left(wanted: Wanted) -> None:
    journal = Journal(90)
    packer = Packer(journal)
    packer.ahead(Wanted(30, 30))
    assert packer.packed(wanted) == Packer(journal).packed(wanted)


def test_fewer_rows_than_a_request_takes_are_not_packed_ahead() -> None:
    """Some more may come until it is their turn."""
    journal = Journal(50)
    packer = Packer(journal)
    packer.ahead(Wanted(30, 30))
    journal.rows += Journal(60).rows[50:]
    assert packer.packed(Wanted(30, 30)).count == 30


def test_a_ledger_that_cannot_be_read_is_said_in_its_turn() -> None:
    journal = Journal(90)
    packer = Packer(journal)
    journal.is_broken = True
    packer.ahead(Wanted(30, 30))
    with pytest.raises(LedgerError):
        packer.packed(Wanted(30, 30))
