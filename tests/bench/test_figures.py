"""Goals, verdicts and percentiles of `vafa bench`, without measuring anything."""

from contextlib import closing
from pathlib import Path

import pytest

from vafa.cli.measure.bare import Bare, written_since
from vafa.cli.measure.figures import GOALS, Goal, Measured, judged, missed, percentile, table
from vafa.cli.measure.floor import Floor
from vafa.cli.measure.machine import file_system
from vafa.cli.measure.stage import Stage
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader, ledger_path
from vafa.ledger.tables import SQL

ONE = {"award_mean": Goal("award", "x floor", 1.5, 1.3, "a record")}


@pytest.mark.parametrize(
    ("value", "ok", "stretch_ok"),
    [(1.2, True, True), (1.4, True, False), (1.5, True, False), (1.51, False, False)],
)
def test_a_goal_is_reached_up_to_its_very_number(value: float, ok: bool, stretch_ok: bool) -> None:
    (figure,) = judged([Measured("award_mean", value, 0.2, "ms")], ONE)
    assert (figure.ok, figure.stretch_ok) == (ok, stretch_ok)
    assert bool(missed([figure])) is not ok


def test_what_could_not_be_measured_is_shown_and_is_no_miss() -> None:
    (figure,) = judged([Measured("award_mean", None, note="not measured: no disk")], ONE)
    assert figure.ok is None
    assert figure.value is None
    assert missed([figure]) == []
    assert "not measured: no disk" in table([figure])


@pytest.mark.parametrize(("value", "ok"), [(1.4, True), (1.6, None)])
def test_a_value_with_others_work_in_it_proves_no_miss(value: float, ok: bool | None) -> None:
    (figure,) = judged([Measured("award_mean", value, alone=False)], ONE)
    assert figure.ok is ok
    assert missed([figure]) == []


def test_a_goal_nobody_measured_is_still_a_line() -> None:
    assert [figure.note for figure in judged([], ONE)] == ["not measured"]


def test_the_table_fits_a_terminal() -> None:
    figures = judged([Measured(name, 12_345.6, 1_234.5, "flushes") for name in GOALS], GOALS)
    assert max(len(line) for line in table(figures).splitlines()) <= 80


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_seen(share: float, value: int) -> None:
    assert percentile(list(range(1, 101)), share) == value


def test_a_directory_lies_on_its_innermost_mount(tmp_path: Path) -> None:
    mounts = "\n".join(
        [
            "1 0 8:1 / / rw - ext4 /dev/root rw",
            f"2 1 8:2 / {tmp_path} rw shared:1 - f2fs /dev/mmc rw",
            "3 1 8:3 / /elsewhere rw - tmpfs none rw",
        ]
    )
    assert file_system(tmp_path / "deep", mounts) == "f2fs on /dev/mmc"


def test_a_terminal_s_bytes_become_committed_awards(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "state")
    try:
        before = stage.ledger.head.seq
        for _ in range(5):
            stage.award(stage.response())
        assert stage.ledger.head.seq == before + 5
    finally:
        stage.close()


def test_sqlite_alone_is_given_the_very_rows_that_the_awards_wrote(tmp_path: Path) -> None:
    with closing(Stage(tmp_path / "state")) as stage:
        with closing(Bare(stage.ledger, tmp_path / "bare")) as bare, closing(Floor(tmp_path)) as floor:
            written = []
            for _ in range(5):
                before = stage.ledger.head.seq
                stage.award(stage.response())
                written.append(written_since(stage.ledger, before))
            assert bare.times_floor(written, floor) > 0
        with (
            closing(connect_reader(stage.ledger.path)) as ours,
            closing(connect_reader(ledger_path(tmp_path / "bare"))) as copied,
        ):
            assert list(reads.entries(copied)) == list(reads.entries(ours))
            for row_type in SQL:
                rows = SQL[row_type].all_by_key
                assert copied.execute(rows).fetchall() == ours.execute(rows).fetchall()
