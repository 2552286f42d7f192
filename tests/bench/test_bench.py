"""`vafa bench` as typed: every figure with goal, value and floor, exit 1 on a miss, nothing left behind.

How long anything takes is no matter of these tests: the goals are doctored so that the verdicts are certain.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from vafa.cli import bench
from vafa.cli.measure import figures

TINY = bench.Size(
    awards=20,
    checkpoint_cycles=1,
    sales=3,
    starts=1,
    status_times=1,
    settle_s=0.2,
    lanes_s=0.3,
    slips=2,
    grown=2_000,
    grown_awards=5,
    idle_s=0.5,
)

NOTHING_WANTED = ("memory_printing", "idle_wakeups", "idle_cpu")  # nothing is what they should be


def _bench(directory: Path, monkeypatch: pytest.MonkeyPatch, at_most: float) -> tuple[Result, dict[str, Any]]:
    doctored = {
        name: figures.Goal(goal.about, goal.unit, at_most, 0.0, goal.floor)
        for name, goal in figures.GOALS.items()
    }
    monkeypatch.setattr(figures, "GOALS", doctored)
    monkeypatch.setattr(bench, "QUICK", TINY)
    result = CliRunner().invoke(bench.command, ["--json", "--quick", "--directory", str(directory)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result, json.loads(result.stdout)


def test_every_figure_stands_beside_its_goal_and_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, answer = _bench(tmp_path, monkeypatch, at_most=1e12)
    assert result.exit_code == 0
    assert answer["ok"] is True
    assert [figure["name"] for figure in answer["figures"]] == list(figures.GOALS)
    for figure in answer["figures"]:
        assert figure["goal"] == 1e12
        if figure["value"] is None:
            assert figure["ok"] is None
            assert figure["note"].startswith("not measured: ")
        else:
            assert figure["ok"] is True
            assert figure["value"] > 0 or figure["name"] in NOTHING_WANTED
            assert figure["floor"] > 0 or figure["name"].startswith(
                ("award_fl", "idle_")
            )  # a disk may not count
    measured = {figure["name"] for figure in answer["figures"] if figure["value"] is not None}
    assert {
        "award_mean",
        "award_p99",
        "lines_p99",
        "slip_raster",
        "slip_wire",
        "memory_printing",
        "start_cpu",
    } <= measured
    assert set(answer["machine"]) >= {"cpu", "kernel", "python", "sqlite", "file_system"}
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_a_missed_goal_ends_with_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bench, "measure_all", lambda *_: [figures.Measured("award_mean", 1.2, 0.2, "ms", "a note")]
    )
    result, answer = _bench(tmp_path, monkeypatch, at_most=1.1)
    assert result.exit_code == 1
    assert answer["ok"] is False
    assert {figure["ok"] for figure in answer["figures"]} == {False, None}
