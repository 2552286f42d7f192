"""Where the log ends when bytes of it changed on the disk: what was sold is there, or is known to be lost."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from shop import Shop, payment

from vafa.app.log_keeping import LogKeeper
from vafa.ledger import log_file, upkeep
from vafa.ledger.log_end import CUT_OFF_MAX
from vafa.ledger.log_frames import HEADER_BYTES, LogFile
from vafa.ledger.storage import FRAME_BYTES, PAGE_BYTES
from vafa.model.errors import LedgerDamaged

SALES = 8
SECTOR_BYTES = 512


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "shop").mkdir()
    opened = Shop(tmp_path / "shop")
    for number in range(SALES):
        sell(opened, number)
    yield opened
    opened.ledger.close()


def sell(shop: Shop, number: int) -> None:
    shop.counter.post(payment(320062616116 + number))


def killed(shop: Shop) -> Path:
    """What a kill -9 leaves, as a directory of its own; of an earlier one nothing is left."""
    there = shop.directory.with_name("killed")
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(shop.directory, there, ignore=shutil.ignore_patterns("*-shm"))
    return there


def log_of(directory: Path) -> Path:
    return directory / "ledger.db-wal"


def commits(directory: Path) -> list[int]:
    """The offset in the log behind each of its commits."""
    with log_of(directory).open("rb") as log:
        file = LogFile(log.fileno(), log.read(HEADER_BYTES))
        return [file.offset(frame.number + 1) for frame in file.own_from(0) if frame.ends]


def write(directory: Path, offset: int, data: bytes) -> None:
    with log_of(directory).open("r+b") as log:
        log.seek(offset)
        log.write(data)


def flip(directory: Path, offset: int, bits: int = 0x55) -> None:
    write(directory, offset, bytes([log_of(directory).read_bytes()[offset] ^ bits]))


def kept(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("ledger.damaged-*.wal")]


def sold(directory: Path) -> tuple[int, int]:
    """(awards there, commits said to be lost) after a start; the books verify and a sale goes on."""
    shop = Shop(directory)
    try:
        verified = shop.verified()
        assert verified.bad == ()
        lost = shop.ledger.lost_commits
        sell(shop, 1_000)
        return verified.awards, lost
    finally:
        shop.ledger.close()


def places(used: int) -> list[int]:
    """Offsets of the log: all of the header, all of some frames' heads, some of pages, the last byte."""
    chance = Random(7)  # noqa: S311 - a repeatable choice
    frames = (used - HEADER_BYTES) // FRAME_BYTES
    heads = [HEADER_BYTES + chance.randrange(frames) * FRAME_BYTES + place for place in range(24)]
    return [
        *range(HEADER_BYTES),
        *heads,
        *(chance.randrange(HEADER_BYTES, used) for _ in range(30)),
        used - 1,
    ]


def test_a_single_byte_of_the_log_that_changed_is_put_right_or_what_it_cost_is_known(shop: Shop) -> None:
    """A word's highest bits count in too few ways to tell the word, and the last frame has none after it."""
    LogKeeper(shop.ledger).fill()
    sell(shop, SALES)
    *_, last_but_one, used = commits(killed(shop))
    tried, put_right = 0, 0
    for offset in places(used):
        directory, tried = killed(shop), tried + 1
        flip(directory, offset, 1 << tried % 8)
        awards, lost = sold(directory)
        if (awards, lost) == (SALES + 1, 0):
            put_right += 1
            assert kept(directory) == []
        else:
            assert (lost and kept(directory)) or (offset >= last_but_one and awards == SALES), offset
    assert put_right > 0.85 * tried


def test_two_bytes_in_two_frames_are_put_right(shop: Shop) -> None:
    directory = killed(shop)
    first, *_, last = commits(directory)
    flip(directory, first - 100)
    flip(directory, last - 100)
    assert sold(directory) == (SALES, 0)


def test_commits_behind_a_destroyed_sector_are_counted_and_the_log_is_kept(shop: Shop) -> None:
    directory = killed(shop)
    ends = commits(directory)
    write(directory, ends[5] - SECTOR_BYTES, bytes(SECTOR_BYTES))
    before = log_of(directory).read_bytes()
    awards, lost = sold(directory)
    assert 0 < awards < SALES
    assert lost == len(ends) - 5 - CUT_OFF_MAX
    assert kept(directory) == ["ledger.damaged-1.wal"]
    assert (directory / "ledger.damaged-1.wal").read_bytes() == before
    assert sold(directory)[1] == 0, "told once"


def test_a_destroyed_header_is_found_by_the_frames_behind_it(shop: Shop) -> None:
    upkeep.checkpoint(shop.ledger.path)
    for number in range(SALES, SALES + 3):
        sell(shop, number)
    directory = killed(shop)
    write(directory, 0, bytes(HEADER_BYTES))
    assert sold(directory) == (SALES, 3 - CUT_OFF_MAX)


def test_a_commit_a_power_cut_left_unfinished_is_no_loss_and_nothing_of_it_stays(shop: Shop) -> None:
    before_last = commits(killed(shop))[-1]
    shop.counter.post(payment(320062616116 + SALES))
    directory = killed(shop)
    write(directory, before_last + 100, bytes(SECTOR_BYTES))
    shop_again = Shop(directory)
    try:
        assert shop_again.ledger.lost_commits == 0
        assert shop_again.verified().awards == SALES
        assert log_of(directory).stat().st_size == before_last
    finally:
        shop_again.ledger.close()
    assert kept(directory) == []


def test_a_log_begun_anew_ends_where_its_last_run_goes_on(shop: Shop) -> None:
    LogKeeper(shop.ledger).fill()
    assert log_file.move(shop.ledger.path).whole
    sell(shop, SALES)
    directory = killed(shop)
    size = log_of(directory).stat().st_size
    again = Shop(directory)
    try:
        assert (again.verified().awards, again.ledger.lost_commits) == (SALES + 1, 0)
        assert log_of(directory).stat().st_size == size, (
            "frames of the run before are no frames behind its end"
        )
    finally:
        again.ledger.close()


def test_a_header_torn_at_any_byte_when_the_log_began_anew_loses_nothing(shop: Shop) -> None:
    assert log_file.move(shop.ledger.path).whole
    moved = shop.directory.with_name("moved")
    shutil.copytree(killed(shop), moved)
    sell(shop, SALES)
    anew = log_of(shop.directory).read_bytes()
    for written in range(1, HEADER_BYTES):
        torn = shop.directory.with_name(f"torn-{written}")
        shutil.copytree(moved, torn)
        write(torn, 0, anew[:written])
        assert sold(torn) == (SALES, 0), written
        assert kept(torn) == []


def test_a_damaged_log_that_was_moved_already_is_not_needed(shop: Shop) -> None:
    assert log_file.move(shop.ledger.path).whole
    directory = killed(shop)
    write(directory, commits(directory)[5] - SECTOR_BYTES, bytes(SECTOR_BYTES))
    assert sold(directory) == (SALES, 0)
    assert kept(directory) == []


def test_a_damaged_log_of_which_newer_pages_were_moved_is_no_ledger_and_is_left_as_it_is(shop: Shop) -> None:
    """A power cut while it was being moved, and a sector that went bad then."""
    upkeep.checkpoint(shop.ledger.path)
    unmoved = shop.ledger.path.read_bytes()
    for number in range(SALES, SALES + 2):
        sell(shop, number)
    shop.joined("09121236789")
    sell(shop, SALES + 2)
    assert log_file.move(shop.ledger.path).whole
    directory = killed(shop)
    log = log_of(directory).read_bytes()
    first = int.from_bytes(log[HEADER_BYTES : HEADER_BYTES + 4], "big") - 1
    with (directory / "ledger.db").open("r+b") as database:
        database.seek(first * PAGE_BYTES)
        database.write(unmoved[first * PAGE_BYTES : (first + 1) * PAGE_BYTES])
    write(directory, commits(directory)[1] - SECTOR_BYTES, bytes(SECTOR_BYTES))
    log = log_of(directory).read_bytes()
    for _ in range(2):
        with pytest.raises(LedgerDamaged, match="newer pages than those before that place were moved"):
            Shop(directory)
    assert log_of(directory).read_bytes() == log
    assert kept(directory) == []


def test_the_pages_of_the_log_are_those_of_the_ledger(shop: Shop) -> None:
    with log_of(shop.directory).open("rb") as log:
        assert LogFile(log.fileno(), log.read(HEADER_BYTES)).page_bytes == PAGE_BYTES
