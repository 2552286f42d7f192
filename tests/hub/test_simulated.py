"""The simulation's histories at the hub's own code over a real PostgreSQL."""

import contextlib
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from simulated.fleet import MakeHub, history
from simulated.forking import CLONED, RESTORED, ForkingFleet
from simulated.hubs import Disagreement, MemoryHub
from simulated.long_run import TERMINATED
from simulated.postgres_hub import PostgresHub, replayed

from vafa.hub.database import Database
from vafa.hub.journal import Held
from vafa.wire.rows import WireRow

TESTS = Path(__file__).parents[1]


def test_what_a_simulated_hub_was_sent_gives_the_same_hashes_at_a_real_one(
    database: Database, tmp_path: Path
) -> None:
    fleet = history(11, MemoryHub, Counter(), tmp_path, steps=90)
    assert isinstance(fleet.hub, MemoryHub)
    keys = {number: device.key.public for number, device in fleet.devices.items()}
    real = replayed(database, fleet.hub.recorded, keys)
    for number in keys:
        assert fleet.hub.rows(number)
        assert real.rows(number) == fleet.hub.rows(number)


def test_the_real_hub_has_each_row_once_after_faults_of_every_kind(
    database: Database, tmp_path: Path
) -> None:
    seen: Counter[str] = Counter()
    history(12, lambda clock_ms: PostgresHub(database, clock_ms), seen, tmp_path, steps=90)
    assert seen["rows at the hub, each once, hashes equal"] > 50


def test_a_real_hub_that_does_not_look_whether_it_has_a_row_is_found_out(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(row: Held, sent: WireRow) -> bool:
        return False

    monkeypatch.setattr(Held, "same", never)
    with pytest.raises(Disagreement, match="branches"):
        history(12, lambda clock_ms: PostgresHub(database, clock_ms), Counter(), tmp_path, steps=90)


def test_restored_and_copied_devices_give_the_same_hashes_at_a_real_hub(
    database: Database, tmp_path: Path
) -> None:
    fleet = history(17, MemoryHub, Counter(), tmp_path, steps=90, kind=ForkingFleet)
    assert isinstance(fleet.hub, MemoryHub)
    keys = {device.number: device.key.public for device in fleet.devices.values()}
    real = replayed(database, fleet.hub.recorded, keys)
    assert max(map(real.branches, keys)) > 1
    for number in keys:
        assert real.rows(number) == fleet.hub.rows(number)
        assert real.lost(number) == 0


def test_the_real_hub_gives_restored_and_copied_devices_back_what_they_lost(
    database: Database, tmp_path: Path
) -> None:
    seen: Counter[str] = Counter()
    make: MakeHub = lambda clock_ms: PostgresHub(database, clock_ms)  # noqa: E731
    history(33, make, seen, tmp_path, steps=90, kind=ForkingFleet)
    assert min(seen[RESTORED], seen[CLONED], seen["rows of branches counted again"]) > 0, seen


def test_a_long_run_that_is_ended_leaves_no_server_behind() -> None:
    command = [sys.executable, "-m", "simulated.long_run", "1000000"]
    with subprocess.Popen(
        command, cwd=TESTS, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stderr is not None
        folder = run.stderr.readline().split()[-1]
        assert folder in commands()
        run.send_signal(signal.SIGTERM)
        run.stderr.read()
    assert run.returncode == TERMINATED
    assert folder not in commands()
    assert not Path(folder).exists()


def commands() -> str:
    """Of all processes there are."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(each.read_bytes().decode(errors="replace"))
    return "\n".join(found)
