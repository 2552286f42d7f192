"""The pretend terminal over a real socket, a real pty, and as a process driven by JSON."""

import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vafa.cli.simulate import command
from vafa.model.errors import PortError
from vafa.simulators import sadad_bytes as wire
from vafa.simulators.faults import FAULTS
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

INM = wire.build(wire.PLAIN, wire.INM)
ACK = wire.build(wire.PLAIN, wire.ACK)
LIST = wire.build(wire.LISTS, wire.REQUEST, b"0001003132")
WAIT_S = 10


def connect(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=WAIT_S)


def read_exactly(fd: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        assert select.select([fd], [], [], WAIT_S)[0], f"only {len(data)} of {count} bytes came"
        piece = os.read(fd, count - len(data))
        assert piece, "the line was closed"
        data += piece
    return data


def test_tcp_serves_one_client_after_the_other() -> None:
    with serve_tcp(Terminal()) as line:
        for _ in range(2):
            with connect(line.address) as client:
                client.sendall(INM)
                assert read_exactly(client.fileno(), len(ACK)) == ACK


def test_a_second_tcp_client_waits_for_the_first() -> None:
    with serve_tcp(Terminal()) as line, connect(line.address) as first:
        first.sendall(INM)
        assert read_exactly(first.fileno(), len(ACK)) == ACK
        with connect(line.address) as second:
            second.sendall(INM)
            first.sendall(INM)
            assert read_exactly(first.fileno(), len(ACK)) == ACK
            assert not select.select([second], [], [], 0)[0]
            first.close()
            assert read_exactly(second.fileno(), len(ACK)) == ACK


def test_a_dropped_tcp_link_closes_and_the_journal_has_the_sale() -> None:
    terminal = Terminal()
    terminal.fault("drop-link")
    head = b"1000".ljust(13, b"\0") + b" " * 14 + b"0200000000\0"
    with serve_tcp(terminal) as line:
        with connect(line.address) as client:
            client.sendall(wire.build(wire.PLAIN, wire.REQUEST, head))
            assert read_exactly(client.fileno(), len(ACK)) == ACK
            assert client.recv(1) == b""
        with connect(line.address) as client:
            client.sendall(INM)
            assert read_exactly(client.fileno(), len(ACK)) == ACK
            client.sendall(LIST)
            read_exactly(client.fileno(), len(ACK) + 1)
    assert [record.amount for record in terminal.journal] == [1000]


def test_a_port_in_use_is_an_error_that_says_what_to_do() -> None:
    with serve_tcp(Terminal()) as line, pytest.raises(PortError, match="cannot listen"):
        serve_tcp(Terminal(), "127.0.0.1", int(line.address.rsplit(":", 1)[1]))


def test_a_pty_survives_its_client_closing_and_opening(tmp_path: Path) -> None:
    path = tmp_path / "ttyPOS"
    with serve_pty(Terminal(tail=b"\n"), path):
        for _ in range(3):
            port = os.open(path, os.O_RDWR | os.O_NOCTTY)
            try:
                os.write(port, INM)
                assert read_exactly(port, len(ACK) + 1) == ACK + b"\n"
            finally:
                os.close(port)
    assert not path.is_symlink()


def simulate(*arguments: str, commands: list[dict[str, object]]) -> list[dict[str, object]]:
    text = "".join(json.dumps(command) + "\n" for command in commands)
    done = subprocess.run(
        [sys.executable, "-m", "vafa.cli.main", "simulate", "sadad", *arguments, "--json"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_process_is_driven_by_json_lines_and_keeps_its_state(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    replies = simulate(
        "--tcp",
        "127.0.0.1:0",
        "--state",
        state,
        commands=[
            {"do": "key_sale", "amount": 120_000, "card": 2},
            {"do": "next", "outcome": "decline"},
            {"do": "next", "outcome": "explode"},
            {"do": "fault", "name": "lost-answer", "times": 1},
            {"do": "status"},
            {"do": "journal"},
            {"do": "slips"},
            {"do": "fly"},
            {"do": "quit"},
        ],
    )
    assert [reply["ok"] for reply in replies] == [
        True,
        True,
        True,
        False,
        True,
        True,
        True,
        True,
        False,
        True,
    ]
    assert replies[5]["faults"] == {"lost-answer": 1}
    again = simulate("--pty", str(tmp_path / "tty"), "--state", state, commands=[{"do": "journal"}])
    assert again[1] == replies[6]


def test_the_help_names_every_fault_with_its_meaning() -> None:
    shown = CliRunner().invoke(command, ["sadad", "--help"]).output
    for name, meaning in FAULTS.items():
        assert f"{name:<22} {meaning}" in shown
