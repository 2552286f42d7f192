"""Faults of the pretend terminal's line: each does to a client what the real trouble does."""

import os
import select
import socket
import time
from pathlib import Path

import pytest

from vafa.simulators import sadad_bytes as wire
from vafa.simulators.faults import ALWAYS
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

LONG_S = 20.0
INM = wire.build(wire.PLAIN, wire.INM)
ACK = wire.build(wire.PLAIN, wire.ACK)
NACK = wire.build(wire.PLAIN, wire.NACK)


def connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), LONG_S)


def answers(address: str) -> bool:
    """True when a terminal takes a connection there and answers on it."""
    try:
        with connected(address) as client:
            client.sendall(INM)
            return client.recv(100) == ACK
    except ConnectionError:
        return False  # refused, or taken by a listener that went at that moment


def test_a_mute_terminal_hears_and_says_nothing_and_its_keypad_goes_on() -> None:
    terminal = Terminal()
    terminal.fault("mute", ALWAYS)
    assert terminal.feed(INM, 0.0) == b""
    terminal.key_sale(1_000)
    assert len(terminal.journal) == 1
    terminal.fault("mute", 0)
    assert terminal.feed(INM, 1.0) == ACK


def test_at_another_speed_both_ends_hear_garbage() -> None:
    terminal = Terminal()
    terminal.fault("wrong-baud", ALWAYS)
    heard = terminal.feed(INM, 0.0)
    assert heard
    assert wire.Splitter().feed(heard, 0.0) == []
    terminal.fault("wrong-baud", 0)
    assert terminal.feed(INM, 1.0) == ACK


def test_a_storm_of_nacks_comes_asked_and_unasked_at_a_bounded_pace() -> None:
    terminal = Terminal()
    terminal.fault("nack-storm", ALWAYS)
    assert terminal.feed(INM, 0.0) == NACK * 2
    assert terminal.step(0.1) == b""
    assert terminal.step(0.3) == NACK
    terminal.fault("nack-storm", 0)
    assert terminal.step(9.0) == b""
    assert terminal.feed(INM, 10.0) == ACK


def test_a_half_open_connection_is_dead_and_the_next_is_not() -> None:
    terminal = Terminal()
    terminal.fault("half-open")
    assert (terminal.feed(INM, 0.0), terminal.feed(INM, 99.0)) == (b"", b"")
    terminal.link_lost()
    assert terminal.feed(INM, 100.0) == ACK


def test_a_reset_is_no_orderly_end_and_the_terminal_is_there_at_once() -> None:
    terminal = Terminal()
    with serve_tcp(terminal) as line, connected(line.address) as client:
        terminal.fault("reset")
        with pytest.raises(ConnectionResetError):
            client.recv(100)
        with connected(line.address) as again:
            again.sendall(INM)
            assert again.recv(100) == ACK


def test_a_terminal_that_restarts_closes_refuses_and_is_back() -> None:
    terminal = Terminal()
    terminal.line_trouble.reboot_s = LONG_S
    with serve_tcp(terminal) as line, connected(line.address) as client:
        terminal.fault("reboot")
        assert client.recv(100) == b""
        while True:
            try:
                connected(line.address).close()
            except ConnectionError:
                break
    terminal.line_trouble.reboot_s = 0.1
    with serve_tcp(terminal) as line:
        with connected(line.address) as client:
            terminal.fault("reboot")
            assert client.recv(100) == b""
        end = time.monotonic() + LONG_S
        while not answers(line.address):
            assert time.monotonic() < end


def test_a_pulled_cable_hangs_up_and_the_path_leads_to_the_terminal_again(tmp_path: Path) -> None:
    terminal, path = Terminal(), tmp_path / "terminal"
    with serve_pty(terminal, path):
        port = os.open(path, os.O_RDWR | os.O_NOCTTY)
        terminal.fault("reset")
        poll = select.poll()
        poll.register(port, 0)
        assert poll.poll(LONG_S * 1000)[0][1] & select.POLLHUP
        with pytest.raises(OSError, match="Input/output error"):
            os.write(port, INM)
        os.close(port)
        while not path.exists():
            select.select([], [], [], 0.01)
        port = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(port, INM)
        assert select.select([port], [], [], LONG_S)[0]
        assert os.read(port, 100) == ACK
        os.close(port)
    assert not path.exists()
