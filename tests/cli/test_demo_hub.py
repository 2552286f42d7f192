"""`vafa demo --hub` for real, once: everything it claims holds, and nothing of it is left behind."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from vafa.cli import demo_hub_words as words

DEMO = (sys.executable, "-m", "vafa.cli.main", "demo", "--hub")


def test_two_devices_and_their_hub_agree_after_cut_links_and_a_killed_hub(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("vafa-fleet-*"))
    ran = subprocess.run(
        (*DEMO, "--json", "--keep", str(tmp_path / "kept")),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert {proof["proof"] for proof in told["proofs"]} == set(words.PROOFS)
    assert [proof for proof in told["proofs"] if not proof["holds"]] == []
    (paid,) = (proof for proof in told["proofs"] if proof["proof"] == "told")
    assert (paid["told"], paid["lost"], paid["doubled"]) == (72, 0, 0)
    assert (tmp_path / "kept" / "left" / "state" / "ledger.db").exists()
    assert set(Path(tempfile.gettempdir()).glob("vafa-fleet-*")) <= before


def test_a_folder_that_holds_something_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    ran = subprocess.run((*DEMO, "--keep", str(tmp_path)), capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "is not empty" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
