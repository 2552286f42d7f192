"""The device of device.py and the real `vafa` command, as fixtures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from device import NOW_MS, Device, Ran, Run

from vafa.cli.main import main


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    it = Device(tmp_path)
    monkeypatch.setenv("VAFA_CONFIG", str(it.config))
    monkeypatch.setattr("vafa.cli.asking.now_ms", lambda: NOW_MS)
    yield it
    it.shop.ledger.close()


@pytest.fixture
def vafa(device: Device, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command as the console script does: its exit code and what it printed."""

    def run(*args: str) -> Ran:
        capfd.readouterr()
        code = 0
        try:
            main(list(args))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run
