"""A part of the daemon that ends by a bug ends the daemon, which systemd starts whole again."""

import contextlib
import signal
import sys
from pathlib import Path

import pytest
from real_device import PATIENCE_S, Device

from vafa.app.daemon import EXIT_OUR_BUG

BROKEN = """
from vafa.ports.line_server import LineServer
def broken(*_):
    raise ValueError("a bug")
LineServer.{part} = broken
from vafa.cli.main import main
main()
"""


@pytest.mark.parametrize(("part", "ends"), [("_admit", True), ("_converse", False)])
def test_a_socket_whose_acceptor_died_is_not_left_deaf_and_a_client_s_thread_ends_alone(
    tmp_path: Path, part: str, ends: bool
) -> None:
    device = Device(tmp_path / "d")
    device.program = [sys.executable, "-c", BROKEN.format(part=part)]
    with device.running() as process:
        with contextlib.suppress(OSError, ValueError):
            device.ask(op="ping")
        if ends:
            assert process.wait(PATIENCE_S) == EXIT_OUR_BUG
        else:
            with contextlib.suppress(OSError, ValueError):
                device.ask(op="ping")
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    log = (device.directory / "log").read_text("utf-8")
    assert "thread died" in log
    assert "a bug" in log
